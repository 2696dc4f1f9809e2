"""Answers in every shape and every split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roomcast.empty_success import SHAPES, EmptySuccesses
from roomcast.http_parser import (
    MAXIMUM_BODY_BYTES,
    MAXIMUM_HEAD_BYTES,
    ProtocolError,
    Response,
    ResponseParser,
)

USUAL = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 11 Nov 2024 13:45:46 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 0\r\nConnection: keep-alive\r\nx-amzn-RequestId: 3d1a\r\nx-amz-apigw-id: abc=\r\n\r\n"
)

# Bytes of an answer, and the status, body and keep-alive that result.
ANSWERS = {
    "usual": (USUAL, 200, b"", True),
    "with a length": (b"HTTP/1.1 410 Gone\r\nContent-Length: 3\r\n\r\nabc", 410, b"abc", True),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "one length, twice": (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na", 200, b"a", True),
    "chunked": (
        b"HTTP/1.1 429 Slow\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
        429,
        b"abc0123456789",
        True,
    ),
    "chunked and empty": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b"", True),
    "both framings": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
        200,
        b"a",
        False,
    ),
    "closing": (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n", 200, b"", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a", False),
    "HTTP/1.0 kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 200, b"a", True),
    "informational first": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + USUAL,
        200,
        b"",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "no content but a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b"", False),
    "no content but chunks": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b"", False),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", 304, b"", True),
    "not modified but a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", False),
    "not modified but chunks": (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", False),
}
BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "an impossible status": b"HTTP/1.1 099 OK\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "a huge length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAXIMUM_BODY_BYTES + 1),
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n",
    "a huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    "a chunk that does not end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    "a chunk that is longer than its size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n",
    "a chunk without its line end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n\n0\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nA: " + b"a" * (MAXIMUM_HEAD_BYTES + 1),
    "a huge head": b"HTTP/1.1 200 OK\r\nA: " + b"a" * MAXIMUM_HEAD_BYTES + b"\r\n\r\n",
    "a size line without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    + b"a" * (MAXIMUM_HEAD_BYTES + 1),
}


def feed(*pieces: bytes) -> Response | None:
    """The answer that the last piece completes; none may be complete before."""
    parser = ResponseParser()
    *first, last = pieces
    assert [parser.feed(piece) for piece in first] == [None] * len(first)
    return parser.feed(last)


@pytest.mark.parametrize(("data", "status", "body", "keep_alive"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_whatever_its_split(data: bytes, status: int, body: bytes, keep_alive: bool) -> None:
    expected = (status, body, keep_alive)
    splits = [[data], [data[i : i + 1] for i in range(len(data))]]
    splits += [[data[:i], data[i:]] for i in range(1, len(data))]
    for pieces in splits:
        answer = feed(*pieces)
        assert answer is not None
        assert (answer.status, answer.body, answer.keep_alive) == expected


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        feed(data)
    if len(data) < 1000:
        with pytest.raises(ProtocolError):
            feed_bytes(data)


def feed_bytes(data: bytes) -> None:
    """Feed one byte at a time."""
    parser = ResponseParser()
    for i in range(len(data)):
        parser.feed(data[i : i + 1])


def test_headers_are_found_by_lower_case_name() -> None:
    answer = feed(b"HTTP/1.1 429 Slow\r\nRetry-After:  2 \r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")
    assert answer is not None
    assert answer.headers == {"retry-after": "2", "a": "1, 2", "content-length": "0"}


def test_an_answer_without_length_ends_with_the_connection() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 410 Gone\r\n\r\nab") is None
    assert parser.feed(b"c") is None
    answer = parser.end()
    assert (answer.status, answer.body, answer.keep_alive) == (410, b"abc", False)


def test_an_answer_without_length_cannot_go_on_for_ever() -> None:
    parser = ResponseParser()
    with pytest.raises(ProtocolError):
        parser.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MAXIMUM_BODY_BYTES + 1))


@pytest.mark.parametrize("cut", range(1, len(ANSWERS["chunked"][0])))
def test_an_answer_that_is_cut_off_is_none(cut: int) -> None:
    parser = ResponseParser()
    parser.feed(ANSWERS["chunked"][0][:cut])
    with pytest.raises(ProtocolError):
        parser.end()


def test_what_follows_an_answer_ends_the_connection() -> None:
    answer = feed(USUAL + b"HTTP/1.1 200 OK\r\n")
    assert answer is not None
    assert (answer.status, answer.keep_alive) == (200, False)


@pytest.mark.parametrize(
    "data",
    [
        USUAL.replace(b"200", b"201"),
        USUAL.replace(b"1.1", b"1.0"),
        USUAL.replace(b"Length: 0", b"Length: 00"),
        USUAL.replace(b"Length: 0", b"Length: 1") + b"a",
        USUAL.replace(b"Content-Length: 0\r\n", b""),
        USUAL.replace(b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 7"),
        USUAL.replace(b"keep-alive", b"close"),
        USUAL.replace(b"keep-alive", b"keep-alive\r\nConnection: close"),
        USUAL.replace(b"x-amzn", b"Transfer-Encoding: chunked\r\nx-amzn"),
        USUAL + USUAL,
        USUAL[:-1],
        b"HTTP/1.1 100 Continue\r\n\r\n" + USUAL,
        b"",
    ],
)
def test_the_quick_look_leaves_anything_unusual_to_the_parser(data: bytes) -> None:
    for known in ([], [USUAL], [USUAL.replace(b"3d1a", b"x" * (4 + len(data) - len(USUAL)))]):
        successes = EmptySuccesses()
        assert all(successes.match(each) for each in known)
        assert not successes.match(data)
        assert successes.match(USUAL)


names = st.sampled_from([b"Content-Length", b"Connection", b"Transfer-Encoding", b"content-length", b"X", b"", b" X"])
values = st.sampled_from([b"0", b"1", b"", b"close", b"keep-alive", b"chunked", b"0, 0", b"x\r\nContent-Length: 0"])
separators = st.sampled_from([b": ", b":", b" : ", b""])
lines = st.lists(
    st.just(b"Content-Length: 0") | st.tuples(names, separators, values).map(b"".join), min_size=1, max_size=4
)


@settings(max_examples=500)
@given(lines=lines, rest=st.just(b"") | st.sampled_from([b"a", b"0\r\n\r\n", USUAL]), known=st.lists(lines, max_size=3))
def test_the_quick_look_never_contradicts_the_parser(lines: list[bytes], rest: bytes, known: list[list[bytes]]) -> None:
    successes = EmptySuccesses()
    for each in known:
        successes.match(b"\r\n".join([b"HTTP/1.1 200 OK", *each]) + b"\r\n\r\n")
    data = b"\r\n".join([b"HTTP/1.1 200 OK", *lines]) + b"\r\n\r\n" + rest
    if not successes.match(data):
        return
    answer = feed(data)
    assert answer is not None
    assert (answer.status, answer.body, answer.keep_alive) == (200, b"", True)


@given(data=st.data())
def test_the_quick_look_does_not_depend_on_earlier_answers(data: st.DataObject) -> None:
    changes = data.draw(st.lists(st.tuples(st.integers(0, len(USUAL) - 1), st.sampled_from(b"\r\n :cCtT0a\xff"))))
    changed = bytearray(USUAL)
    for place, byte in changes:
        changed[place] = byte
    knowing = EmptySuccesses()
    assert knowing.match(USUAL)
    assert knowing.match(bytes(changed)) == EmptySuccesses().match(bytes(changed))


def test_a_server_with_answers_of_many_lengths_uses_no_more_memory() -> None:
    successes = EmptySuccesses()
    for size in range(3 * SHAPES):
        assert successes.match(USUAL.replace(b"3d1a", b"x" * size))
    assert len(successes._shapes) == SHAPES


@given(
    st.lists(
        st.sampled_from(
            b"HTTP/1.1 |200 OK|204 x|\r\n|\r\n\r\n|Content-Length: |5|a|0|:| |Connection: close\r\n"
            b"|Transfer-Encoding: chunked\r\n".split(b"|")
        )
        | st.binary(max_size=3)
    )
)
def test_noise_is_refused_or_read_but_nothing_else(pieces: list[bytes]) -> None:
    parser = ResponseParser()
    try:
        for piece in pieces:
            if parser.feed(piece) is not None:
                return
        parser.end()
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;extension=" + b"x" * 100 + b"\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: value\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_what_has_no_end_of_its_own_counts_too(head: bytes, piece: bytes) -> None:
    parser = ResponseParser(maximum_bytes=len(head) + 10 * len(piece))
    assert parser.feed(head) is None
    for _ in range(10):
        assert parser.feed(piece) is None
    with pytest.raises(ProtocolError, match="too large"):
        parser.feed(piece)

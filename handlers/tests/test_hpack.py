"""Header blocks: RFC 7541's examples where they apply, and another implementation that reads ours."""

from __future__ import annotations

import hpack
import pytest
from hpack import huffman, huffman_constants
from hypothesis import given
from hypothesis import strategies as st
from roomcast.hpack import DEFAULT_TABLE_BYTES, Encoder, integer, read_answer
from roomcast.http_parser import ProtocolError
from roomcast.signing import Credentials, SignedRequests, Signer

HOST = "abcde12345.execute-api.eu-west-1.amazonaws.com"
HUFFMAN = huffman.HuffmanEncoder(huffman_constants.REQUEST_CODES, huffman_constants.REQUEST_CODES_LENGTH)


def requests(
    token: str | None = "t" * 900, body: bytes = b"hello", path: str = "/live/@connections/"
) -> SignedRequests:
    credentials = Credentials("AKIDEXAMPLE", "secret", token)
    return SignedRequests(Signer("execute-api", "eu-west-1"), credentials, "POST", HOST, path, {}, body)


def read(decoder: hpack.Decoder, block: bytes) -> list[tuple[str, str]]:
    """The headers of a block."""
    return [(str(name), str(value)) for name, value in decoder.decode(block, raw=False)]


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[SignedRequests]:
    """The requests for which an encoder has computed something, within one second."""
    calls: list[SignedRequests] = []
    prepare = Encoder._encode

    def note(encoder: Encoder, requests: SignedRequests) -> tuple[bytes, bytes, bytes]:
        calls.append(requests)
        return prepare(encoder, requests)

    monkeypatch.setattr(Encoder, "_encode", note)
    monkeypatch.setattr("roomcast.signing.time.time", lambda: 1_700_000_000.0)
    return calls


def in_http_1(head: bytes) -> dict[str, str]:
    """The headers of an HTTP/1.1 request as HTTP/2 has them."""
    start, *lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    method, path, _ = start.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return {":method": method, ":scheme": "https", ":path": path, ":authority": headers.pop("host"), **headers}


class TestRequests:
    """Header blocks that we write."""

    @pytest.mark.parametrize(
        ("value", "bits", "written"), [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00"), (0, 7, "00")]
    )
    def test_integers_are_written_as_in_appendix_c_1(self, value: int, bits: int, written: str) -> None:
        assert integer(value, bits).encode("latin-1").hex() == written

    @pytest.mark.parametrize("token", [None, "t" * 40, "t" * 900, "t" * 5_000])
    def test_requests_say_the_same_as_over_http_1(self, token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("roomcast.signing.time.time", lambda: 1_700_000_000.0)
        encoder, decoder, made = Encoder("https"), hpack.Decoder(max_header_list_size=1 << 20), requests(token)
        for segment in ("BFHPhfAAM=", "a", "", "x" * 100, "x" * 300, "/ü"):
            block, head = encoder.block(made, segment), made.request(segment)
            decoded = read(decoder, block)
            assert dict(decoded) == in_http_1(head)
            names = [name for name, _ in decoded]
            assert len(set(names)) == len(names)
            assert [name[0] == ":" for name in names] == [True] * 4 + [False] * (len(names) - 4)

    def test_what_repeats_takes_one_byte(self) -> None:
        encoder, made = Encoder("https"), requests()
        sizes = [len(encoder.block(made, "BFHPhfAAM=")) for _ in range(5)]
        assert sizes[0] - sizes[1] > 900 + len(HOST)
        assert sizes[1:] == sizes[1:2] * 4
        assert encoder.block(made, "a")[2] == 0x80 | 63

    def test_neither_signature_nor_path_is_put_into_the_table(self) -> None:
        encoder, decoder = Encoder("https"), hpack.Decoder()
        for segment in "abc":
            decoder.decode(encoder.block(requests(), segment))
        assert {name for name, _ in decoder.header_table.dynamic_entries} == {b":authority", b"x-amz-security-token"}

    def test_the_signature_is_never_indexed(self) -> None:
        decoded = hpack.Decoder().decode(Encoder("https").block(requests(), "a"), raw=True)
        assert [header[0] for header in decoded if isinstance(header, hpack.NeverIndexedHeaderTuple)] == [
            b"authorization"
        ]

    def test_a_block_is_prepared_once_a_second_for_all_connections(self, prepared: list[SignedRequests]) -> None:
        made, encoders = requests(), [Encoder("https") for _ in range(3)]
        for _ in range(10):
            for encoder in encoders:
                encoder.block(made, "a")
        assert len(prepared) <= 2 * len(encoders)

    def test_messages_in_turn_are_prepared_once_each(self, prepared: list[SignedRequests]) -> None:
        messages, encoder = [requests(body=b"x" * size) for size in range(4)], Encoder("https")
        for _ in range(10):
            for message in messages:
                encoder.block(message, "a")
        assert len(prepared) <= len(messages) + 1

    @given(
        steps=st.lists(
            st.tuples(st.sampled_from([None, "a" * 30, "b" * 900, "c" * 900, "d" * 4_100]), st.integers(0, 30))
            | st.sampled_from([0, 31, 97, 150, 1_000, 4_096, 70_000]),
            max_size=12,
        )
    )
    def test_any_credentials_and_any_size_of_the_servers_table(self, steps: list[tuple[str | None, int] | int]) -> None:
        encoder, decoder = Encoder("https"), hpack.Decoder(max_header_list_size=1 << 20)
        messages = {token: requests(token) for token in (None, "a" * 30, "b" * 900, "c" * 900, "d" * 4_100)}
        for step in steps:
            if isinstance(step, int):
                encoder.resize(step)
                decoder.max_allowed_table_size = step
                decoder.header_table_size = min(decoder.header_table_size, step)
                continue
            token, length = step
            decoded = dict(read(decoder, encoder.block(messages[token], "x" * length)))
            assert decoded[":authority"] == HOST
            assert decoded[":path"] == "/live/@connections/" + "x" * length
            assert decoded.get("x-amz-security-token") == token

    def test_the_table_never_holds_more_than_the_server_keeps(self) -> None:
        encoder, decoder = Encoder("https"), hpack.Decoder()
        encoder.resize(1 << 20)
        decoder.max_allowed_table_size = 1 << 20
        for _ in range(3):
            decoder.decode(encoder.block(requests(), "a"))
        assert decoder.header_table_size <= DEFAULT_TABLE_BYTES


LITERALS = {
    "plain, named by index": b"\x48\x03410",
    "without indexing": b"\x08\x03410",
    "never indexed": b"\x18\x03410",
    "Huffman-coded": b"\x48" + bytes([0x80 | len(HUFFMAN.encode(b"410"))]) + HUFFMAN.encode(b"410"),
    "named by another index": b"\x0e\x03410",
    "with its name": b"\x40\x07:status\x03410",
    "with its name, coded": b"\x00"
    + bytes([0x80 | len(HUFFMAN.encode(b":status"))])
    + HUFFMAN.encode(b":status")
    + b"\x03410",
    "after an update of the table": b"\x20\x48\x03410",
    "after two": b"\x20\x20\x48\x03410",
    "after another header": b"\x00\x01a\x01b\x48\x03410",
    "before a header of a kilobyte": b"\x48\x03410\x00\x01a\x7f\x81\x07" + b"b" * 1_024,
}
MALFORMED = {
    "an update of the table": b"\x3f\xe1\x1f\x88",
    "an update in the middle": b"\x8d\x20",
    "index 0": b"\x80",
    "an index of the dynamic table": b"\xbe",
    "a name of the dynamic table": b"\x7e\x01a",
    "a name of the dynamic table, not indexed": b"\x0f\x2f\x01a",
    "no value": b"\x48",
    "no name": b"\x40",
    "half of a value": b"\x48\x0341",
    "half of a name": b"\x40\x07:sta",
    "an unending number": b"\x8d\xff" + b"\xff" * 20,
    "half of a number": b"\x7f",
    "a huge length": b"\x00\x01a\x7f\xff\xff\x7f",
}
NO_STATUS = {
    "nothing": b"",
    "another header": b"\x00\x01a\x01b",
    "two": b"\x8d\x8d",
    "two, one of them as text": b"\x8d\x48\x03410",
    "not a number": b"\x48\x0341a",
    "four digits": b"\x48\x042000",
    "two digits": b"\x48\x0220",
    "an impossible one": b"\x48\x03099",
    "a larger one": b"\x48\x03600",
    "digits of another script": b"\x48\x06" + "٤١٠".encode(),
    "empty": b"\x48\x00",
    "empty, coded": b"\x48\x80",
    "coded and too long": b"\x48\x94" + b"\x00" * 20,
    "coded with bad padding": b"\x48\x83" + HUFFMAN.encode(b"410")[:2] + b"\x00",
}
APPENDIX_C = {
    "2.1": ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", 0),
    "2.2": ("040c2f73616d706c652f70617468", 0),
    "2.3": ("100870617373776f726406736563726574", 0),
    "2.4": ("82", 0),
    "5.1": ("4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54", 302),
    "6.1": ("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff", 302),
}


class TestAnswers:
    """Header blocks that we read."""

    @pytest.mark.parametrize("block", LITERALS.values(), ids=LITERALS)
    def test_a_status_is_found_however_it_is_written(self, block: bytes) -> None:
        assert read_answer(block) == (410, 0.0)

    @pytest.mark.parametrize("status", [200, 204, 206, 304, 400, 404, 500, 403, 408, 410, 413, 429, 502, 503, 599, 103])
    @pytest.mark.parametrize("is_coded", [False, True])
    def test_each_status_that_another_implementation_writes(self, status: int, is_coded: bool) -> None:
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        headers = [(":status", str(status)), ("date", "today"), ("retry-after", "17"), ("x-amzn-requestid", "abc=")]
        expected = 0.0 if status == 200 else 17.0
        assert read_answer(encoder.encode(headers, huffman=is_coded)) == (status, expected)

    @pytest.mark.parametrize("seconds", ["0", "2", "0123456789", "86400"])
    @pytest.mark.parametrize("is_coded", [False, True])
    def test_seconds_to_wait(self, seconds: str, is_coded: bool) -> None:
        block = hpack.Encoder().encode([(":status", "429"), ("retry-after", seconds)], huffman=is_coded)
        assert read_answer(block) == (429, float(seconds))

    @pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "1e9", "Fri, 31 Dec 1999 23:59:59 GMT", "2 "])
    @pytest.mark.parametrize("is_coded", [False, True])
    def test_another_value_says_nothing(self, value: str, is_coded: bool) -> None:
        block = hpack.Encoder().encode([(":status", "429"), ("retry-after", value)], huffman=is_coded)
        assert read_answer(block) == (429, 0.0)

    @pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED)
    def test_what_is_no_header_block_is_refused(self, block: bytes) -> None:
        with pytest.raises(ProtocolError):
            read_answer(block)

    @pytest.mark.parametrize("block", NO_STATUS.values(), ids=NO_STATUS)
    def test_an_answer_needs_one_status(self, block: bytes) -> None:
        assert read_answer(block)[0] == 0

    @pytest.mark.parametrize(("block", "status"), APPENDIX_C.values(), ids=APPENDIX_C)
    def test_the_examples_of_appendix_c(self, block: str, status: int) -> None:
        assert read_answer(bytes.fromhex(block)) == (status, 0.0)

    @pytest.mark.parametrize("block", ["4803333037c1c0bf", "4883640effc1c0bf"])
    def test_those_that_need_a_table_are_refused(self, block: str) -> None:
        with pytest.raises(ProtocolError):
            read_answer(bytes.fromhex(block))

    @given(
        st.lists(
            st.sampled_from(
                [b"\x88", b"\x20", b"\x48\x03410", b"\x82", b"\x7f\x80", b"\x00\x01a\x01b", b"\x0f\x26\x012"]
            )
            | st.binary(max_size=4)
        )
    )
    def test_noise_is_refused_or_read_but_nothing_else(self, pieces: list[bytes]) -> None:
        try:
            status, seconds = read_answer(b"".join(pieces))
        except ProtocolError:
            return
        assert status == 0 or 100 <= status <= 599
        assert seconds >= 0

    @given(
        headers=st.lists(
            st.tuples(st.sampled_from(["date", "a", "retry-after"]), st.text("0123456789abc%", max_size=9))
        ),
        status=st.integers(100, 599),
        is_coded=st.booleans(),
    )
    def test_it_never_contradicts_another_implementation(
        self, headers: list[tuple[str, str]], status: int, is_coded: bool
    ) -> None:
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        block = encoder.encode([(":status", str(status)), *headers], huffman=is_coded)
        assert read_answer(block)[0] == status

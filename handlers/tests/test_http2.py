"""HTTP/2 without I/O: another implementation as the server, a server that breaks each rule, and a real one."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import socket
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from roomcast import http2
from roomcast import http2_frames as frames
from roomcast.http2 import Session
from roomcast.http2_frames import frame
from roomcast.http_parser import BROKEN, NOT_PROCESSED, ProtocolError
from roomcast.signing import Credentials, SignedRequests, Signer
from tests.hostile_server import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODIES = [b"", b"hello", b"x" * 16_384, b"x" * 16_385, b"x" * 65_535, b"x" * 65_536, b"x" * 131_072]


def made(body: bytes = b"hello", token: str | None = None, host: str = "localhost") -> SignedRequests:
    credentials = Credentials("AKIDEXAMPLE", "secret", token)
    return SignedRequests(
        Signer("execute-api", "eu-west-1"), credentials, "POST", host, "/live/@connections/", {}, body
    )


MADE = {body: made(body) for body in BODIES}


def drain(session: Session[Any], most: int | None = None) -> bytes:
    """Take the bytes to be sent, as a socket would."""
    sent = bytes(session.outgoing[:most])
    del session.outgoing[: len(sent)]
    return sent


class Peer:
    """The server's side, by another implementation, which refuses each breach of a rule."""

    def __init__(self) -> None:
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.connection.initiate_connection()
        self.connection.update_settings({h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 200_000})
        self.unread = b""
        self.requests: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.whole: list[int] = []
        self.cancelled: list[int] = []
        self.owed: list[tuple[int, int]] = []
        self.is_asked = False

    def take(self, data: bytes, *, open_windows: bool = True) -> None:
        """Read the bytes that the client has sent."""
        self.unread += data
        for event in itertools.chain.from_iterable(map(self.connection.receive_data, self._units())):
            if isinstance(event, h2.events.RequestReceived):
                self.requests[event.stream_id] = {str(name): str(value) for name, value in event.headers}
                self.bodies[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                self.owed.append((event.flow_controlled_length, event.stream_id))
            elif isinstance(event, h2.events.StreamEnded):
                self.whole.append(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.cancelled.append(event.stream_id)
            elif isinstance(event, h2.events.SettingsAcknowledged):
                self.is_asked = False
        if open_windows:
            self.open_windows()

    def _units(self) -> Iterator[bytes]:
        """The preface and the frames that are there: h2 applies a setting only from its next input on."""
        while True:
            length = 24 if self.unread[:3] == b"PRI" else 9 + int.from_bytes(self.unread[:3])
            if len(self.unread) < max(length, 9):
                return
            unit, self.unread = self.unread[:length], self.unread[length:]
            yield unit

    def open_windows(self) -> None:
        """Let the client send as much again as it has sent."""
        for length, stream in self.owed:
            if length:
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    self.connection.acknowledge_received_data(length, stream)
        self.owed.clear()

    def answer(self, stream: int, status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> None:
        """Answer a request; a body goes out as far as the client's window allows, in small frames."""
        self.connection.send_headers(stream, [(":status", str(status)), *headers], end_stream=not body)
        if body:
            self.connection.send_data(stream, body, end_stream=True)

    def say(self) -> bytes:
        """The bytes that go to the client."""
        return self.connection.data_to_send()


def meet(session: Session[Any], peer: Peer) -> list[Any]:
    """Exchange all that both have to say; gives the events."""
    events: list[Any] = []
    while True:
        out = drain(session)
        peer.take(out)
        back = peer.say()
        events += session.receive(back)
        if not out and not back:
            return events


class TestAgainstAnotherImplementation:
    """h2 is the server."""

    def test_many_posts_are_one_write_and_many_answers_one_read(self) -> None:
        session, peer = Session[int]("https"), Peer()
        streams = [session.request(number, MADE[b"hello"], f"id-{number}=", b"hello") for number in range(100)]
        peer.take(drain(session))
        assert streams == [*range(1, 200, 2)]
        assert peer.whole == streams
        assert set(peer.bodies.values()) == {b"hello"}
        assert [peer.requests[stream][":path"] for stream in streams] == [
            f"/live/@connections/id-{number}%3D" for number in range(100)
        ]
        for stream in streams:
            peer.answer(stream)
        assert session.receive(peer.say()) == [(number, 200, 0.0) for number in range(100)]
        assert session.under_way == 0
        assert session.room == 100

    @pytest.mark.parametrize("body", BODIES, ids=len)
    def test_a_body_larger_than_the_windows_waits_for_them(self, body: bytes) -> None:
        session, peer = Session[str]("https"), Peer()
        session.request("first", MADE[body], "a", body)
        assert len(session.outgoing) < 65_536 + 2_000
        assert (session.room == 0) == (len(body) > 65_535)
        meet(session, peer)
        assert peer.bodies == {1: body}
        assert peer.whole == [1]
        assert session.room == 99
        peer.answer(1)
        assert meet(session, peer) == [("first", 200, 0.0)]

    def test_all_windows_together_hold_back_a_body(self) -> None:
        session, peer = Session[int]("https"), Peer()
        body = b"x" * 16_384
        count = 0
        while session.room:
            session.request(count, MADE[body], "a", body)
            count += 1
        assert count == 4  # the last one does not fit into the connection's 65,535 bytes
        peer.take(drain(session), open_windows=False)
        assert len(peer.whole) == 3
        peer.open_windows()
        meet(session, peer)
        assert len(peer.whole) == 4

    @pytest.mark.parametrize("window", [0, 1, 100, 70_000])
    def test_the_servers_window_may_change_while_a_body_is_under_way(self, window: int) -> None:
        session, peer = Session[str]("https"), Peer()
        body = b"x" * 131_072
        session.request("first", MADE[body], "a", body)
        peer.take(drain(session), open_windows=False)
        peer.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        peer.connection.increment_flow_control_window(1_000_000)
        session.receive(peer.say())
        peer.take(drain(session), open_windows=False)
        # The window had been used up: it is negative now, unless the new one is larger.
        assert len(peer.bodies[1]) == max(65_535, window)
        peer.connection.increment_flow_control_window(65_535 + 131_072, 1)
        session.receive(peer.say())
        peer.take(drain(session), open_windows=False)
        assert peer.bodies == {1: body}

    def test_a_server_may_allow_fewer_streams_and_longer_frames(self) -> None:
        session, peer = Session[int]("https"), Peer()
        peer.connection.update_settings(
            {
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 3,
                h2.settings.SettingCodes.MAX_FRAME_SIZE: 40_000,
                h2.settings.SettingCodes.HEADER_TABLE_SIZE: 100,
            }
        )
        meet(session, peer)
        for number in range(3):
            assert session.room == 3 - number
            session.request(number, MADE[b"hello"], "a", b"hello")
        assert session.room == 0
        meet(session, peer)
        peer.answer(3, 429, b"", ("retry-after", "2"))
        assert meet(session, peer) == [(1, 429, 2.0)]
        body = b"x" * 16_385
        session.request(3, MADE[body], "a", body)
        assert bytes(frames.HEAD.pack(16_385 << 8, frames.END_STREAM, 7)) in session.outgoing
        meet(session, peer)
        assert peer.whole == [1, 3, 5, 7]

    def test_a_server_may_allow_many_more_streams(self) -> None:
        session, peer = Session[int]("https"), Peer()
        peer.connection.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1_000})
        meet(session, peer)
        assert session.room == 100

    @pytest.mark.parametrize("guess", [0, 1, 100])
    def test_a_server_that_sets_no_limit_takes_as_many_as_there_may_be(self, guess: int) -> None:
        session = Session[int]("https", guess)
        session.receive(frames.settings({}))
        assert session.room == 100
        session.receive(frames.settings({frames.MAX_CONCURRENT_STREAMS: 3}))
        session.receive(frames.settings({}))
        assert session.room == 3

    def test_a_header_block_longer_than_a_frame(self) -> None:
        session, peer = Session[int]("https"), Peer()
        session.request(1, made(token="t" * 40_000), "a", b"hello")
        peer.take(drain(session))
        assert peer.requests[1]["x-amz-security-token"] == "t" * 40_000
        assert peer.whole == [1]

    @pytest.mark.parametrize("body", [b"gone", b"x" * 32_768])
    def test_the_body_of_an_answer_is_dropped(self, body: bytes) -> None:
        session, peer = Session[int]("https"), Peer()
        for number in range(20):
            stream = session.request(number, MADE[b"hello"], "a", b"hello")
            meet(session, peer)
            peer.connection.send_headers(stream, [(":status", "410")])
            left = body
            events = []
            while left:
                size = min(len(left), peer.connection.local_flow_control_window(stream), 10_000)
                peer.connection.send_data(stream, left[:size], end_stream=size == len(left))
                left = left[size:]
                events += meet(session, peer)
            assert events == [(number, 410, 0.0)]
        assert not peer.cancelled

    @pytest.mark.parametrize("padding", [0, 1, 255])
    def test_all_that_flow_control_counts_is_allowed_again(self, padding: int) -> None:
        """Padding counts as well: without it, the server's window would shrink until it can send no answer."""
        session, peer = Session[int]("https"), Peer()
        meet(session, peer)
        for number in range(400):
            stream = session.request(number, MADE[b"hello"], "a", b"hello")
            peer.take(drain(session))
            peer.connection.send_headers(stream, [(":status", "410")])
            peer.connection.send_data(stream, b"gone", end_stream=True, pad_length=padding)
            assert meet(session, peer) == [(number, 410, 0.0)]
            assert peer.connection.outbound_flow_control_window > 16_384

    def test_an_endless_body_is_cancelled_and_the_status_counts(self) -> None:
        session, peer = Session[int]("https"), Peer()
        session.request(0, MADE[b"hello"], "a", b"hello")
        meet(session, peer)
        peer.connection.send_headers(1, [(":status", "200")])
        sent = 0
        events: list[Any] = []
        while not events:
            peer.connection.send_data(1, b"x" * 8_000)
            sent += 8_000
            events = session.receive(peer.say())
        assert events == [(0, 200, 0.0)]
        assert sent < 65_535
        peer.take(drain(session))
        assert peer.cancelled == [1]

    def test_informational_answers_and_trailers(self) -> None:
        session, peer = Session[int]("https"), Peer()
        session.request(0, MADE[b"hello"], "a", b"hello")
        meet(session, peer)
        peer.connection.send_headers(1, [(":status", "103"), ("link", "<a>")])
        assert meet(session, peer) == []
        peer.connection.send_headers(1, [(":status", "429"), ("retry-after", "1")])
        peer.connection.send_data(1, b"slow")
        assert meet(session, peer) == []
        peer.connection.send_headers(1, [("trailer", "x")], end_stream=True)
        assert meet(session, peer) == [(0, 429, 1.0)]

    def test_an_answer_before_the_end_of_the_request_ends_that(self) -> None:
        session, peer = Session[str]("https"), Peer()
        body = b"x" * 131_072
        session.request("first", MADE[body], "a", body)
        peer.take(drain(session), open_windows=False)
        peer.answer(1, 413)
        assert session.receive(peer.say()) == [("first", 413, 0.0)]
        assert session.room == 100
        peer.take(drain(session))
        assert peer.cancelled == [1]

    def test_a_cancelled_request_leaves_the_others_alone(self) -> None:
        session, peer = Session[str]("https"), Peer()
        streams = [session.request(tag, MADE[b"hello"], "a", b"hello") for tag in "abc"]
        session.cancel(streams[1])
        assert session.room == 98
        # The answer was on its way already.
        peer.take(drain(session)[: -(9 + 4)])
        for stream in streams:
            peer.answer(stream)
        assert session.receive(peer.say()) == [("a", 200, 0.0), ("c", 200, 0.0)]

    def test_a_cancelled_body_blocks_no_others(self) -> None:
        session, peer = Session[str]("https"), Peer()
        body = b"x" * 131_072
        stream = session.request("first", MADE[body], "a", body)
        session.cancel(stream)
        assert session.room == 100
        session.request("second", MADE[b""], "a", b"")
        meet(session, peer)
        assert (peer.cancelled, peer.whole) == ([1], [3])

    def test_goaway_tells_what_was_not_processed(self) -> None:
        session, peer = Session[int]("https"), Peer()
        for number in range(6):
            session.request(number, MADE[b"hello"], "a", b"hello")
        meet(session, peer)
        peer.answer(1)
        last = 7
        events = session.receive(peer.say() + frame(frames.GOAWAY, 0, 0, struct.pack(">II", last, 0)))
        assert events == [(0, 200, 0.0), (4, NOT_PROCESSED, 0.0), (5, NOT_PROCESSED, 0.0)]
        assert (session.room, session.is_ending, session.under_way) == (0, True, 3)
        for stream in (3, 5, 7):
            peer.answer(stream)
        assert meet(session, peer) == [(1, 200, 0.0), (2, 200, 0.0), (3, 200, 0.0)]
        assert session.under_way == 0

    def test_a_goaway_in_two_steps(self) -> None:
        session, peer = Session[int]("https"), Peer()
        meet(session, peer)
        for number in range(2):
            session.request(number, MADE[b"hello"], "a", b"hello")
        assert session.receive(frame(frames.GOAWAY, 0, 0, struct.pack(">II", 0x7FFF_FFFF, 0) + b"bye")) == []
        assert (session.room, session.under_way) == (0, 2)
        events = session.receive(frame(frames.GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
        assert events == [(1, NOT_PROCESSED, 0.0)]

    def test_a_refused_stream_was_not_processed_and_another_reset_says_nothing(self) -> None:
        session, peer = Session[str]("https"), Peer()
        streams = [session.request(tag, MADE[b"hello"], "a", b"hello") for tag in "abcd"]
        meet(session, peer)
        peer.connection.reset_stream(streams[0], h2.errors.ErrorCodes.REFUSED_STREAM)
        peer.connection.reset_stream(streams[1], h2.errors.ErrorCodes.INTERNAL_ERROR)
        peer.connection.send_headers(streams[2], [(":status", "200")])
        peer.connection.reset_stream(streams[2], h2.errors.ErrorCodes.NO_ERROR)
        peer.answer(streams[3])
        assert meet(session, peer) == [
            ("a", NOT_PROCESSED, 0.0),
            ("b", BROKEN, 0.0),
            ("c", 200, 0.0),
            ("d", 200, 0.0),
        ]

    def test_the_end_of_the_connection_ends_all_requests(self) -> None:
        session, peer = Session[str]("https"), Peer()
        streams = [session.request(tag, MADE[b"hello"], "a", b"hello") for tag in "abc"]
        meet(session, peer)
        peer.connection.send_headers(streams[1], [(":status", "410")])
        session.receive(peer.say())
        assert sorted(session.end()) == [("a", BROKEN, 0.0), ("b", 410, 0.0), ("c", BROKEN, 0.0)]
        assert (session.end(), session.room, session.under_way) == ([], 0, 0)

    def test_answers_before_an_error_count(self) -> None:
        session, peer = Session[str]("https"), Peer()
        for tag in "ab":
            session.request(tag, MADE[b"hello"], "a", b"hello")
        meet(session, peer)
        peer.answer(1)
        with pytest.raises(ProtocolError):
            session.receive(peer.say() + frame(frames.PING, 0, 1, b"12345678"))
        assert session.end() == [("a", 200, 0.0), ("b", BROKEN, 0.0)]

    def test_pings_are_answered(self) -> None:
        session, peer = Session[str]("https"), Peer()
        meet(session, peer)
        peer.connection.ping(b"12345678")
        session.receive(peer.say())
        assert drain(session) == frame(frames.PING, frames.ACK, 0, b"12345678")

    def test_streams_are_used_up_some_day(self) -> None:
        session, peer = Session[int]("https"), Peer()
        meet(session, peer)
        session._next_stream = 0x7FFF_FFFD
        for number in range(2):
            session.request(number, MADE[b"hello"], "a", b"hello")
        assert (session.room, session.is_ending, session.under_way) == (0, True, 2)
        answer = frame(frames.HEADERS, frames.END_STREAM | frames.END_HEADERS, 0x7FFF_FFFF, b"\x88")
        assert session.receive(answer) == [(1, 200, 0.0)]


class Exchange:
    """One schedule of a client and a server: the bytes of each may wait, and arrive in any pieces."""

    def __init__(self) -> None:
        self.session, self.peer = Session[int]("https"), Peer()
        self.to_server = self.to_client = b""
        self.sent: dict[int, bytes] = {}
        self.expected: dict[int, tuple[int, float]] = {}
        self.events: list[tuple[int, int, float]] = []
        self.answered: set[int] = set()
        self.window = 65_535
        meet(self.session, self.peer)

    def post(self, size: int) -> None:
        if self.session.room:
            number, body = len(self.sent), BODIES[size]
            assert self.session.request(number, MADE[body], f"id-{number}", body) == 2 * number + 1
            self.sent[number] = body

    def forth(self, size: int) -> None:
        self.to_server += drain(self.session)
        piece, self.to_server = self.to_server[:size], self.to_server[size:]
        self.peer.take(piece, open_windows=False)
        self.to_client += self.peer.say()

    def back(self, size: int) -> None:
        self.to_client += self.peer.say()
        piece, self.to_client = self.to_client[:size], self.to_client[size:]
        self.events += self.session.receive(piece)

    def windows(self, _: int) -> None:
        self.peer.open_windows()

    def reply(self, choice: int) -> None:
        open_streams = [stream for stream in self.peer.whole if stream not in self.answered]
        if not open_streams:
            return
        stream = open_streams[choice % len(open_streams)]
        self.answered.add(stream)
        status = [200, 200, 410, 429, 500, 103, 0, 1][choice % 8]
        number = stream // 2
        connection = self.peer.connection
        if status < 100:
            code = [h2.errors.ErrorCodes.REFUSED_STREAM, h2.errors.ErrorCodes.CANCEL][status]
            connection.reset_stream(stream, code)
            self.expected[number] = (BROKEN if status else NOT_PROCESSED, 0.0)
            return
        if status == 103:
            connection.send_headers(stream, [(":status", "103")])
            status = 204
        body = b"x" * (choice % 5)
        connection.send_headers(stream, [(":status", str(status)), ("retry-after", "3"), ("date", "now")])
        connection.send_data(stream, body, end_stream=choice % 3 > 0, pad_length=choice % 7 or None)
        if not choice % 3:
            connection.send_headers(stream, [("checksum", "x")], end_stream=True)
        self.expected[number] = (status, 0.0 if status == 200 else 3.0)

    def ping(self, choice: int) -> None:
        self.peer.connection.ping(struct.pack(">Q", choice))

    def configure(self, choice: int) -> None:
        if self.peer.is_asked:
            return  # h2 takes each acknowledgement for that of all settings
        self.peer.is_asked = True
        codes = h2.settings.SettingCodes
        name, values = [
            (codes.MAX_CONCURRENT_STREAMS, [5, 100, 1_000]),
            # Larger each time: h2 cannot make windows smaller that are partly used up.
            (codes.INITIAL_WINDOW_SIZE, [self.window + 1, self.window + 70_000]),
            (codes.MAX_FRAME_SIZE, [16_384, 20_000]),
            (codes.HEADER_TABLE_SIZE, [0, 100, 4_096, 10_000]),
        ][choice % 4]
        value = values[choice // 4 % len(values)]
        self.window = value if name is codes.INITIAL_WINDOW_SIZE else self.window
        self.peer.connection.update_settings({name: value})

    def finish(self) -> None:
        """Let the server answer everything, with all windows open."""
        codes = h2.settings.SettingCodes
        self.peer.connection.update_settings({codes.INITIAL_WINDOW_SIZE: self.window + 1_000_000})
        self.peer.connection.increment_flow_control_window(10_000_000)
        for _ in range(500):
            self.forth(1 << 30)
            self.peer.open_windows()
            for _ in range(10):
                self.reply(0)
            self.back(1 << 30)
            if len(self.events) == len(self.sent) and not self.session.outgoing:
                return


actions = st.tuples(
    st.sampled_from(["post", "post", "forth", "back", "windows", "reply", "reply", "ping", "configure"]),
    st.integers(0, 200) | st.sampled_from([1_000, 20_000, 100_000]),
)


@settings(max_examples=150)
@given(schedule=st.lists(actions, max_size=60))
@example(schedule=[("post", 1), ("post", 1_000), ("forth", 100_000), ("windows", 0)])
def test_any_schedule_of_a_client_and_a_server(schedule: list[tuple[str, int]]) -> None:
    exchange = Exchange()
    for action, number in schedule:
        getattr(exchange, action)(number % len(BODIES) if action == "post" else number)
    exchange.finish()
    assert sorted(event[0] for event in exchange.events) == sorted(exchange.sent)
    assert {number: (status, wait) for number, status, wait in exchange.events} == exchange.expected
    assert {stream // 2: body for stream, body in exchange.peer.bodies.items()} == exchange.sent


HELLO = frame(frames.SETTINGS, 0, 0)
OK = b"\x88"
WHOLE = frames.END_STREAM | frames.END_HEADERS


def headers(block: bytes = OK, flags: int = WHOLE, stream: int = 1) -> bytes:
    return frame(frames.HEADERS, flags, stream, block)


def setting(name: int, value: int) -> bytes:
    return frames.settings({name: value})


UPDATE_MOST = frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFF_FFFF))
BREACHES = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "an answer before SETTINGS": headers(),
    "an acknowledgement before SETTINGS": frame(frames.SETTINGS, frames.ACK, 0),
    "a frame that is too long": HELLO + struct.pack(">IBI", 16_385 << 8 | frames.DATA, 0, 1),
    "a frame of an unknown type that is too long": HELLO + struct.pack(">IBI", 16_385 << 8 | 0xFA, 0, 0),
    "a whole answer that is too long": HELLO + headers(OK + bytes(16_384)),
    "a push": HELLO + frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, struct.pack(">I", 2) + b"\x82"),
    "an answer on stream 0": HELLO + headers(stream=0),
    "an answer on a stream of the server": HELLO + headers(stream=2),
    "an answer to no request": HELLO + headers(stream=7),
    "data for no request": HELLO + frame(frames.DATA, frames.END_STREAM, 7),
    "data on stream 0": HELLO + frame(frames.DATA, 0, 0, b"x"),
    "a reset of no request": HELLO + frame(frames.RST_STREAM, 0, 7, bytes(4)),
    "a reset of stream 0": HELLO + frame(frames.RST_STREAM, 0, 0, bytes(4)),
    "a reset of a wrong size": HELLO + frame(frames.RST_STREAM, 0, 1, bytes(3)),
    "a window for no request": HELLO + frame(frames.WINDOW_UPDATE, 0, 7, b"\0\0\0\1"),
    "a window update of 0": HELLO + frame(frames.WINDOW_UPDATE, 0, 1, bytes(4)),
    "a window update of 0 for the connection": HELLO + frame(frames.WINDOW_UPDATE, 0, 0, b"\x80\0\0\0"),
    "a window update of a wrong size": HELLO + frame(frames.WINDOW_UPDATE, 0, 0, bytes(5)),
    "a window that is too large": HELLO + UPDATE_MOST,
    "SETTINGS of a wrong size": frame(frames.SETTINGS, 0, 0, bytes(5)),
    "SETTINGS on a stream": frame(frames.SETTINGS, 0, 1),
    "an acknowledgement with settings": HELLO + frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
    "a server that would push": setting(frames.ENABLE_PUSH, 1),
    "a window setting that is too large": setting(frames.INITIAL_WINDOW_SIZE, 0x8000_0000),
    "a frame size that is too small": setting(frames.MAX_FRAME_SIZE, 16_383),
    "a frame size that is too large": setting(frames.MAX_FRAME_SIZE, 0x100_0000),
    "a ping of a wrong size": HELLO + frame(frames.PING, 0, 0, bytes(7)),
    "a ping on a stream": HELLO + frame(frames.PING, 0, 1, bytes(8)),
    "a GOAWAY of a wrong size": HELLO + frame(frames.GOAWAY, 0, 0, bytes(7)),
    "a GOAWAY on a stream": HELLO + frame(frames.GOAWAY, 0, 1, bytes(8)),
    "a priority of a wrong size": HELLO + frame(frames.PRIORITY, 0, 1, bytes(4)),
    "a priority on stream 0": HELLO + frame(frames.PRIORITY, 0, 0, bytes(5)),
    "padding longer than the frame": HELLO + headers(b"\x02\x88", WHOLE | frames.PADDED),
    "padding without its length": HELLO + headers(b"", WHOLE | frames.PADDED),
    "data with padding longer than the frame": HELLO + frame(frames.DATA, frames.PADDED, 1, b"\x01"),
    "a priority that is cut off": HELLO + headers(bytes(4), WHOLE | frames.PRIORITISED),
    "a block that goes on nowhere": HELLO + headers(b"", 0) + frame(frames.PING, 0, 0, bytes(8)),
    "a block interrupted by another answer": HELLO + headers(b"", frames.END_STREAM) + headers(stream=3),
    "a block that goes on elsewhere": HELLO + headers(b"", 0) + frame(frames.CONTINUATION, 4, 3, OK),
    "the rest of no block": HELLO + frame(frames.CONTINUATION, frames.END_HEADERS, 1, OK),
    "the rest of a whole block": HELLO + headers(b"", 4) + frame(frames.CONTINUATION, frames.END_HEADERS, 1, OK),
    "a block without end": HELLO + headers(b"", 0) + frame(frames.CONTINUATION, 0, 1, bytes(16_384)) * 5,
    "empty frames without end": HELLO + headers(b"", 0) + frame(frames.CONTINUATION, 0, 1) * 10_001,
    "pings without end": HELLO + frame(frames.PING, 0, 0, bytes(8)) * 10_001,
    "settings without end": HELLO * 10_001,
    "data without end": HELLO + headers() + frame(frames.DATA, 0, 1, bytes(16_384)) * 10_001,
    "frames of an unknown type without end": HELLO + frame(0xFA, 0, 0) * 10_001,
    "empty data without end": HELLO + headers(OK, frames.END_HEADERS) + frame(frames.DATA, 0, 1) * 10_001,
    "data for a finished request without end": HELLO + headers() + frame(frames.DATA, 0, 1) * 10_002,
    "a table of answers": HELLO + headers(b"\xbe"),
}


def with_requests(count: int = 3) -> Session[int]:
    session = Session[int]("https")
    for number in range(count):
        session.request(number, MADE[b"hello"], "a", b"hello")
    return session


@pytest.mark.parametrize("data", BREACHES.values(), ids=BREACHES)
def test_what_breaks_the_protocol_ends_the_connection(data: bytes) -> None:
    session = with_requests()
    with pytest.raises(ProtocolError):
        session.receive(data)
    assert len(session.end()) <= 3
    if len(data) < 1_000:
        session = with_requests()
        with pytest.raises(ProtocolError):
            receive_bytes(session, data)


def receive_bytes(session: Session[Any], data: bytes) -> None:
    """Receive one byte at a time."""
    for byte in data:
        session.receive(bytes([byte]))


def ping_and_answer(session: Session[int], rounds: int) -> None:
    """Receive answers, each after many pings, without reading the bytes sent back."""
    for number in range(rounds):
        stream = session.request(number, MADE[b"hello"], "a", b"hello") if session.room else 0
        session.receive(frame(frames.PING, 0, 0, bytes(8)) * 1_000)
        if stream:
            session.receive(headers(stream=stream))


def test_acknowledgements_that_are_not_read_do_not_pile_up() -> None:
    session = with_requests(0)
    session.receive(HELLO)
    with pytest.raises(ProtocolError):
        ping_and_answer(session, 1_000)
    assert len(session.outgoing) < 1_000_000


def test_acknowledgements_are_not_answered() -> None:
    session = with_requests(0)
    session.receive(HELLO)
    drain(session)
    session.receive(frame(frames.PING, frames.ACK, 0, bytes(8)) + frame(frames.SETTINGS, frames.ACK, 0))
    assert drain(session) == b""


def test_a_server_that_answers_may_send_other_frames_for_ever() -> None:
    session = with_requests(0)
    session.receive(HELLO)
    for number in range(12):
        stream = session.request(number, MADE[b"hello"], "a", b"hello")
        session.receive(frame(frames.PING, 0, 0, bytes(8)) * 1_000)
        drain(session)
        assert session.receive(headers(stream=stream)) == [(number, 200, 0.0)]


def test_requests_that_are_not_read_do_not_pile_up() -> None:
    session = with_requests(0)
    session.receive(
        setting(frames.INITIAL_WINDOW_SIZE, 0x7FFF_FFFF) + frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
    )
    while session.room:
        session.request(0, MADE[b"x" * 131_072], "a", b"x" * 131_072)
    assert len(session.outgoing) < 3 * 131_072


# Frames for a request on stream 1, and the event they come to.
ANSWERS = {
    "the usual": (headers(), (0, 200, 0.0)),
    "with further headers": (headers(b"\x88\x0f\x0d\x010"), (0, 200, 0.0)),
    "after an update of the table": (headers(b"\x20\x88"), (0, 200, 0.0)),
    "with an empty body": (headers(OK, frames.END_HEADERS) + frame(frames.DATA, 1, 1), (0, 200, 0.0)),
    "with a body": (headers(b"\x48\x03410", 4) + frame(frames.DATA, 0, 1, b"ab") + frame(0, 1, 1, b"c"), (0, 410, 0.0)),
    "padded": (headers(b"\x02\x48\x03410\0\0", WHOLE | frames.PADDED), (0, 410, 0.0)),
    "padded data": (headers(b"\x8d", 4) + frame(frames.DATA, 1 | frames.PADDED, 1, b"\x02a\0\0"), (0, 404, 0.0)),
    "with a priority": (headers(bytes(5) + b"\x8d", WHOLE | frames.PRIORITISED), (0, 404, 0.0)),
    "in pieces": (
        headers(b"\x48", frames.END_STREAM) + frame(frames.CONTINUATION, 0, 1) + frame(9, 4, 1, b"\x03429"),
        (0, 429, 0.0),
    ),
    "a 200 in pieces": (headers(b"", frames.END_STREAM) + frame(9, 4, 1, b"\x88"), (0, 200, 0.0)),
    "with a reserved bit": (headers(stream=0x8000_0001), (0, 200, 0.0)),
    "with flags unknown here": (headers(flags=WHOLE | 0x40), (0, 200, 0.0)),
    "amid frames of unknown types": (frame(0xFA, 1, 0, b"x") + headers() + frame(0xFB, 0, 9), (0, 200, 0.0)),
    "after a priority": (frame(frames.PRIORITY, 0, 1, bytes(5)) + headers(), (0, 200, 0.0)),
    "after a window update": (frame(frames.WINDOW_UPDATE, 0, 1, b"\0\0\1\0") + headers(), (0, 200, 0.0)),
    "no status": (headers(b"\x00\x01a\x01b"), (0, BROKEN, 0.0)),
    "no headers": (headers(b""), (0, BROKEN, 0.0)),
    "two statuses": (headers(b"\x8d\x8d"), (0, BROKEN, 0.0)),
    "informational and no more": (headers(b"\x48\x03103"), (0, BROKEN, 0.0)),
    "a switch of protocols": (headers(b"\x48\x03101", 4), (0, BROKEN, 0.0)),
    "a body without headers": (frame(frames.DATA, frames.END_STREAM, 1, b"x"), (0, BROKEN, 0.0)),
    "a reset": (frame(frames.RST_STREAM, 0, 1, b"\0\0\0\2"), (0, BROKEN, 0.0)),
    "a refusal": (frame(frames.RST_STREAM, 0, 1, b"\0\0\0\7"), (0, NOT_PROCESSED, 0.0)),
    "a status and a reset": (headers(b"\x8d", 4) + frame(frames.RST_STREAM, 0, 1, b"\0\0\0\7"), (0, 404, 0.0)),
    "a status and headers that do not end": (headers(b"\x8d", 4) + headers(b"\x00\x01a\x01b", 4), (0, 404, 0.0)),
    "shutdown": (frame(frames.GOAWAY, 0, 0, struct.pack(">II", 0, 0)), (0, NOT_PROCESSED, 0.0)),
    "shutdown after a status": (headers(b"\x8d", 4) + frame(frames.GOAWAY, 0, 0, bytes(8)), (0, 404, 0.0)),
}


@pytest.mark.parametrize(("data", "event"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_whatever_its_split(data: bytes, event: tuple[int, int, float]) -> None:
    data = HELLO + data
    splits = [[data], [data[i : i + 1] for i in range(len(data))]]
    splits += [[data[:i], data[i:]] for i in range(1, len(data))]
    for pieces in splits:
        session = with_requests(1)
        assert [each for piece in pieces for each in session.receive(piece)] == [event]
        assert session.under_way == 0
        # Frames that still come for that stream are for no request.
        assert (
            session.receive(headers() + frame(frames.DATA, 1, 1, b"x") + frame(frames.RST_STREAM, 0, 1, bytes(4))) == []
        )


@given(
    pieces=st.lists(
        st.sampled_from([data for data, _ in ANSWERS.values()])
        | st.sampled_from([data for data in BREACHES.values() if len(data) < 100])
        | st.binary(max_size=12)
    ),
    cut=st.integers(1, 40),
)
def test_noise_is_refused_or_read_and_each_request_ends_once(pieces: list[bytes], cut: int) -> None:
    data = HELLO + b"".join(pieces)
    outcomes = []
    for size in (cut, len(data)):
        session = with_requests()
        events = []
        with contextlib.suppress(ProtocolError):
            for start in range(0, len(data), size):
                events += session.receive(data[start : start + size])
        events += session.end()
        assert sorted(event[0] for event in events) == [0, 1, 2]
        outcomes.append(events)
    assert outcomes[0] == outcomes[1]


NGHTTPD = shutil.which("nghttpd")


@pytest.fixture
def nghttpd(tmp_path: Path) -> Iterator[socket.socket]:
    """A connection to a real server of plain HTTP/2 that has a file for each id, of which some are large."""
    if NGHTTPD is None:
        pytest.skip("nghttpd is not installed; it is part of the package nghttp2-server")
    folder = tmp_path / "live" / "@connections"
    folder.mkdir(parents=True)
    (folder / "open").write_bytes(b"")
    (folder / "large").write_bytes(b"x" * 1_000_000)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [NGHTTPD, "--no-tls", "--address=127.0.0.1", f"--htdocs={tmp_path}", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            with contextlib.ExitStack() as stack:
                connections: list[socket.socket] = []

                def connected() -> bool:
                    with contextlib.suppress(ConnectionRefusedError):
                        connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
                    return bool(connections)

                wait_until(connected)
                connections[0].settimeout(PATIENCE_SECONDS)
                yield connections[0]
        finally:
            server.kill()


def test_a_real_server_understands_us_and_we_it(nghttpd: socket.socket) -> None:
    session = Session[str]("http")
    chosen = random.Random(1)  # noqa: S311 - a schedule, no secret
    waiting = {f"{number}": chosen.choice(["open", "absent", "large"]) for number in range(500)}
    numbers = itertools.chain(waiting)
    answers: dict[str, int] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS * 3
    while len(answers) < len(waiting):
        assert time.monotonic() < deadline
        while session.room and (number := next(numbers, None)) is not None:
            body = chosen.choice(BODIES)
            session.request(number, MADE[body], waiting[number], body)
        nghttpd.sendall(drain(session))
        for number, status, _ in session.receive(nghttpd.recv(16_384)):
            assert number not in answers
            answers[number] = status
    assert {waiting[number]: status for number, status in answers.items()} == {"open": 200, "absent": 404, "large": 200}
    assert http2.MAXIMUM_STREAMS >= session.room > 0

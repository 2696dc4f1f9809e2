"""The benchmark's side of HTTP/2, against an implementation of the protocol that is not the engine's."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest

from scripts.bench import http2
from scripts.bench.sink import GONE, OK
from scripts.bench.table import member_id


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_posts_are_read_and_answered(step: int) -> None:
    client = h2.connection.H2Connection(h2.config.H2Configuration())
    client.initiate_connection()
    frames = http2.Frames()
    for stream, status in ((1, OK), (3, GONE), (5, OK)):
        headers = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", f"/{member_id(stream)}")]
        client.send_headers(stream, headers)
        client.send_data(stream, b"x" * 12_000, end_stream=True)
        sent = client.data_to_send()
        posts = [post for at in range(0, len(sent), step) for post in frames.receive(sent[at : at + step])]
        assert [(each, body) for each, _, body in posts] == [(stream, b"x" * 12_000)]
        output, frames.output = frames.output + http2.answer(stream, status), b""
        events = client.receive_data(output)
        [answered] = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
        assert (answered.stream_id, dict(answered.headers or [])[b":status"]) == (stream, status[9:12])
        assert any(isinstance(event, h2.events.StreamEnded) for event in events)
    # The windows grow with the bytes read.
    assert client.outbound_flow_control_window > 65_535 - http2.WINDOW_BYTES


def test_the_member_is_read_from_the_path() -> None:
    frames = http2.Frames()
    block = b"\x83\x87\x04\x10/" + member_id(42).encode()
    sent = http2.PREFACE + http2.frame(http2.HEADERS, http2.END, 1, block)
    assert list(frames.receive(sent)) == [(1, b"POST /0000042 HTTP/2", b"")]

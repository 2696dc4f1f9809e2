"""The ends of HTTP/1.1 messages, and the form of the proxy's own answers."""

from __future__ import annotations

import asyncio
import json

import pytest

from integration_tests.harness.faults.kinds import Status
from integration_tests.harness.faults.requests import Request
from integration_tests.harness.faults.wire import HangUpError, Message, error_answer, read_message

GET = Message(["GET", "/", "HTTP/1.1"], {}, b"", b"", last=False)
HEAD = Message(["HEAD", "/", "HTTP/1.1"], {}, b"", b"", last=False)
NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def reader_of(raw: bytes) -> asyncio.StreamReader:
    """Return a connection on which these bytes come, and then its end."""
    reader = asyncio.StreamReader(limit=1024)
    reader.feed_data(raw)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_an_answer_ends_where_its_framing_says(raw: bytes) -> None:
    reader = reader_of(raw + NEXT)
    answer = await read_message(reader, asked=GET)
    assert (answer.raw, answer.last) == (raw, False)
    assert (await read_message(reader, asked=GET)).raw == NEXT


async def test_an_answer_to_head_has_no_body() -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert (await read_message(reader_of(raw + NEXT), asked=HEAD)).raw == raw


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    answer = await read_message(reader_of(b"HTTP/1.1 200 OK\r\n\r\nhello"), asked=GET)
    assert (answer.body, answer.last) == (b"hello", True)


async def test_the_last_answer_of_a_connection_is_known() -> None:
    raw = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
    assert (await read_message(reader_of(raw), asked=GET)).last


async def test_a_request_without_a_length_has_no_body() -> None:
    request = await read_message(reader_of(b"GET /x y HTTP/1.1\r\nHost: h:1\r\n\r\nGET"))
    assert (request.words, request.headers, request.body) == (["GET", "/x", "y HTTP/1.1"], {"host": "h:1"}, b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET / HT",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell",
        b"POST / HTTP/1.1\r\nContent-Length: five\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 2000 + b"\r\n\r\n",
    ],
)
async def test_what_ends_early_or_is_no_http_ends_the_connection(raw: bytes) -> None:
    with pytest.raises(HangUpError):
        await read_message(reader_of(raw))


async def test_the_management_api_names_its_error_in_a_header() -> None:
    answer = await read_message(reader_of(error_answer(Request("management"), Status(429))), asked=GET)
    assert answer.words[1:] == ["429", "Too Many Requests"]
    assert answer.headers["x-amzn-errortype"] == "LimitExceededException"
    assert "LimitExceededException" in json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    ("service", "error"),
    [
        ("dynamodb", "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
        ("sqs", "com.amazonaws.sqs#RequestThrottled"),
    ],
)
async def test_the_others_name_it_in_the_body(service: str, error: str) -> None:
    answer = await read_message(reader_of(error_answer(Request(service), Status(400))), asked=GET)
    assert json.loads(answer.body)["__type"] == error
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert answer.headers["x-amzn-requestid"]

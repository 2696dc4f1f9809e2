"""The parts of HTTP/1.1 that the fault proxy needs: reading whole messages, and answers of its own."""

from __future__ import annotations

import asyncio
import json
from http.client import responses
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.harness.faults.kinds import Status
    from integration_tests.harness.faults.requests import Request

LARGEST_HEAD = 64 * 1024


class HangUpError(Exception):
    """The connection with the handler ends, because of a fault or because one side has closed it."""


class Message(NamedTuple):
    """A received request or answer.

    Attributes:
        words: Of the first line: method, path and version; or version, status and reason.
        headers: By name in lower case.
        body: The bytes after the head, chunk sizes included.
        raw: All bytes.
        last: Whether its sender closes the connection after it.
    """

    words: list[str]
    headers: Mapping[str, str]
    body: bytes
    raw: bytes
    last: bool


async def read_message(reader: asyncio.StreamReader, asked: Message | None = None) -> Message:
    """Read the next request, or the answer to the request ``asked``.

    Raises:
        HangUpError: The connection ended, or the bytes are no HTTP/1.1.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in fields}
        method_or_version, path_or_status, rest = first_line.split(" ", 2)
        bodiless = asked is not None and (path_or_status in {"204", "304"} or asked.words[0] == "HEAD")
        until_closed = not (asked is None or bodiless or headers.keys() & {"content-length", "transfer-encoding"})
        body = b"" if bodiless else await _read_body(reader, headers, until_closed=until_closed)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise HangUpError from None
    last = until_closed or headers.get("connection", "").lower() == "close"
    return Message([method_or_version, path_or_status, rest], headers, body, head + body, last)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str], *, until_closed: bool) -> bytes:
    if until_closed:
        return await reader.read()
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while True:
        size_line = await reader.readuntil(b"\r\n")
        size = int(size_line.partition(b";")[0], 16)
        body += size_line
        if size == 0:
            break
        body += await reader.readexactly(size + 2)
    while (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
        body += trailer
    return body + trailer


def json_answer(status: int, content: Mapping[str, object]) -> bytes:
    """Return an answer of the proxy's control endpoint."""
    return _answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())


def error_answer(about: Request, fault: Status) -> bytes:
    """Return an error answer in the form of AWS's service.

    The management API names the error in the header ``x-amzn-ErrorType``, DynamoDB and SQS in the body's ``__type``.
    """
    error = fault.name_for(about.service)
    content = {"message": f"{error} injected by the fault proxy"}
    if namespace := {"dynamodb": "com.amazonaws.dynamodb.v20120810", "sqs": "com.amazonaws.sqs"}.get(about.service):
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        content = {"__type": f"{namespace}#{error}", **content}
    else:
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error}
    return _answer(fault.status, {"x-amzn-RequestId": str(uuid4()), **headers}, json.dumps(content).encode())


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body

"""Chromium, which cannot set a header, connects with a token in the subprotocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from scripts.stage_url import in_room
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from integration_tests.security.conftest import Guarded

pytestmark = pytest.mark.emulator_only

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHOWN_WITHIN = 60.0
"""Seconds that a browser may take to start and show the page: several on a busy machine."""

PAGE = """<!doctype html><script>
const {url, protocols} = %s;
const report = (what) => fetch("/report", {method: "POST", body: JSON.stringify(what)});
const socket = new WebSocket(url, protocols);
socket.onopen = () => socket.send('{"action":"sendmessage","data":"hello world"}');
socket.onmessage = (event) => report({protocol: socket.protocol, data: event.data});
socket.onclose = (event) => report({code: event.code});
</script>"""


@pytest.fixture(scope="session")
def browser() -> str:
    """The path of a browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on PATH, so no browser can be tried")
    return found


async def reported(browser: str, url: str, protocols: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
    """Open a page that connects and sends a message; return the first thing that it reports."""
    page = PAGE % json.dumps({"url": url, "protocols": protocols})
    async with served(page) as (address, report), shown(browser, address):
        return await asyncio.wait_for(report, scaled(SHOWN_WITHIN))


@asynccontextmanager
async def served(page: str) -> AsyncIterator[tuple[str, asyncio.Future[Any]]]:
    """Serve a page on a loopback port; give its address, and its first post."""
    report: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("post"):
            length = int(head.split("content-length:")[1].split()[0])
            posted = json.loads(await reader.readexactly(length))
            if not report.done():
                report.set_result(posted)
        body = page.encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", report


@asynccontextmanager
async def shown(browser: str, address: str) -> AsyncIterator[None]:
    """Show a page in a browser without a window until the context ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            browser,
            "--headless=new",
            "--no-sandbox",  # containers have no user namespaces
            "--disable-gpu",
            "--no-proxy-server",
            f"--user-data-dir={profile}",
            address,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def test_browser_connects_with_a_token_in_the_subprotocol(guarded: Guarded, browser: str, room: str) -> None:
    url = in_room(guarded.url, room)

    heard = await reported(browser, url, ["roomcast.text", f"roomcast.bearer.{guarded.token(rooms=[room])}"])

    assert heard == {"protocol": "roomcast.text", "data": "hello world"}


async def test_browser_is_refused_without_a_token(guarded: Guarded, browser: str, room: str) -> None:
    assert await reported(browser, in_room(guarded.url, room), ["roomcast.text"]) == {"code": 1006}

"""wscat from npm, a client independent of this repository, follows the README's instructions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from integration_tests.harness.console import Console, installed_wscat
from integration_tests.targets.interface import Capability
from scripts.stage_url import in_room

if TYPE_CHECKING:
    from integration_tests.targets.interface import Target


@pytest.mark.everywhere
@pytest.mark.requires(Capability.ANY_HANDSHAKE)
async def test_two_consoles_both_print_hello_world(target: Target, room: str) -> None:
    wscat = await installed_wscat()
    url = in_room(target.deployment.websocket_url, room)
    host = urlsplit(url).hostname
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        pytest.skip(f"this machine cannot resolve {host}, and wscat does not treat it as a loopback address")
    async with Console.running(wscat, "-c", url) as first, Console.running(wscat, "-c", url) as second:
        first.type('{"action":"sendmessage","data":"hello world"}')

        await first.expect("< hello world")
        await second.expect("< hello world")

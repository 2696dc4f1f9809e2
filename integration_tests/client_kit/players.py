"""Plays scenarios: on the Python client inside a virtual loop, or on any client through its driver."""

from __future__ import annotations

import asyncio
import json
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from integration_tests.client_kit import virtual
from integration_tests.client_kit.driver import Driver
from integration_tests.client_kit.scenario import Run, Scenario, WrongError, apply
from integration_tests.client_kit.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_LINE = 2**24
STARTS_WITHIN = 60.0
"""Real seconds until a driver must be ready."""
CLOSING = 1.0
"""Virtual seconds for the last transports to close."""
FULL = 1.0
"""Scale of the virtual loop, on which seconds cost nothing."""


def play_virtually(scenario: Scenario, seed: int, driver: Callable[..., Any] = Driver) -> list[str]:
    """Play a scenario on the Python client; returns what was wrong."""

    async def play() -> list[str]:
        async with asyncio.timeout(None):
            return await _play_inside(scenario, seed, driver)

    found: list[str] = virtual.run(play())
    return found


async def _play_inside(scenario: Scenario, seed: int, make: Callable[..., Any]) -> list[str]:
    changed = asyncio.Event()
    server = Server(seed, FULL, changed.set)
    commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    run = Run(scenario, server, await _begin(server, scenario), commands.put_nowait, seed=seed, scale=FULL)
    run.changed = changed
    driver = make(run.heard)

    async def drive() -> None:
        while True:
            await driver.command(await commands.get())

    driving = asyncio.ensure_future(drive())
    wrong = await _judge(run)
    driving.cancel()
    await driver.finish()
    await server.stop()
    await asyncio.sleep(CLOSING)
    if driving.done() and not driving.cancelled() and (error := driving.exception()):
        wrong.append(f"driver: {error!r}")
    return wrong


async def _begin(server: Server, scenario: Scenario) -> str:
    apply(server, scenario.server)
    return await server.start()


async def _judge(run: Run) -> list[str]:
    try:
        await run.play()
    except WrongError as error:
        return [str(error), *run.faults()]
    return run.faults()


async def play_through_driver(scenario: Scenario, client: str, seed: int, scale: float) -> list[str]:
    """Play a scenario on the client behind a driver; returns what was wrong.

    Args:
        scenario: What happens.
        client: The driver's command line.
        seed: Of everything random.
        scale: Real seconds of a protocol second.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*shlex.split(client), stdin=pipe, stdout=pipe, limit=LONGEST_LINE)
    assert process.stdin is not None
    assert process.stdout is not None
    given, told = process.stdin, process.stdout
    try:
        async with asyncio.timeout(STARTS_WITHIN):  # starting it costs no scenario any time
            is_ready = json.loads(await told.readline() or "null") == {"on": "ready"}
    except TimeoutError:
        is_ready = False
    if not is_ready:
        await _kill(process)
        return ["the driver did not get ready"]
    changed = asyncio.Event()
    server = Server(seed, scale, changed.set)

    def command(each: dict[str, Any]) -> None:
        given.write(f"{json.dumps(each)}\n".encode())

    run = Run(scenario, server, await _begin(server, scenario), command, seed=seed, scale=scale)
    run.changed = changed

    async def listen() -> None:
        while line := await told.readline():
            run.heard(json.loads(line))

    listening = asyncio.ensure_future(listen())
    wrong = await _judge(run)
    if process.returncode is not None:
        wrong.append(f"the driver ended with status {process.returncode}")
    await _kill(process)
    await listening
    await server.stop()
    return wrong


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()

"""One process of a load run: does what it is told over its standard input (see ``calls``) until that ends.

    python -m integration_tests.load.worker URL RUN INTERVAL TERMS
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import sys
import traceback
from typing import IO

from integration_tests.harness.ledger import Terms
from integration_tests.load import calls
from integration_tests.load.crew import Crew
from scripts.descriptors import allow_sockets

OBJECTS_BEFORE_COLLECTION = 500_000
"""A connection is some 100 objects that stay, and Python would look through all of them again and again."""


async def serve(crew: Crew, output: IO[bytes]) -> None:
    """Call the crew's methods as calls come in, any number at the same time."""
    pipe = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    answering: set[asyncio.Task[None]] = set()
    while True:
        try:
            call = await calls.receive_call(pipe)
        except asyncio.IncompleteReadError:
            return
        task = asyncio.create_task(answer(crew, call, output))
        answering.add(task)
        task.add_done_callback(answering.discard)


async def answer(crew: Crew, call: calls.Call, output: IO[bytes]) -> None:
    """Call one method and send what became of it."""
    value, error = None, None
    try:
        value = getattr(crew, call.method)(*call.arguments)
        if inspect.isawaitable(value):
            value = await value
    except Exception:  # noqa: BLE001 - whatever it is, the parent must know
        value, error = None, traceback.format_exc()
    output.write(calls.pack(calls.Answer(call.number, value, error)))
    output.flush()


async def main(url: str, run: str, interval: str, terms: str) -> None:
    """Serve until the parent closes the pipe."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints must not get between the answers
    await serve(Crew(url, run, float(interval), Terms(**json.loads(terms))), output)


def prepare_process() -> None:
    """Make this process fit for as many sockets as the system allows it."""
    allow_sockets()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)


if __name__ == "__main__":
    prepare_process()
    asyncio.run(main(*sys.argv[1:]))

"""The processes that run Python functions: nothing in them but the function, and no guess when its output ends."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other place to take hold of

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime

from scripts.local.ministack.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

END_OF_OUTPUT = "\N{END OF TRANSMISSION BLOCK}"
PATIENCE = 5.0
"""Seconds until the end of output is taken for granted: more than a busy machine takes to hand on a line."""
PATIENCE_WITH_THE_DEAD = 0.25
"""The same for a process that has died or was ended, which does not tell the end of its output."""
LINEAGE = "    _ms_install_invoke_depth()\n"
"""Where MiniStack's program for the process imports botocore, to notice functions that invoke themselves."""
ANSWER = "        _real_stdout.flush()\n\nrun()\n"
"""Where it sends a handler's result."""


def install() -> None:
    """Start Python processes without botocore, and have them say when an invocation's output is complete."""
    program = lambda_runtime._PYTHON_WORKER_SCRIPT
    if LINEAGE not in program or ANSWER not in program:
        raise SystemExit("MiniStack's program for Lambda processes has changed: compare it with workers.py")
    mark = f"        print({END_OF_OUTPUT!a}, file=sys.stderr, flush=True)\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = program.replace(LINEAGE, "").replace(ANSWER, mark + ANSWER)
    wrap(lambda_runtime.Worker, "_drain_stderr_bounded", output)


def output(original: Callable[[Any], str], worker: Any) -> str:
    """Return what an invocation wrote: up to the mark for Python, MiniStack's guess for other runtimes."""
    if not worker.config["Runtime"].startswith("python"):
        return original(worker)
    lines: list[str] = []
    while True:
        try:
            line = worker._stderr_queue.get(timeout=PATIENCE if worker._proc else PATIENCE_WITH_THE_DEAD)
        except queue.Empty:
            break
        text, mark, _ = line.partition(END_OF_OUTPUT)
        if text or not mark:
            lines.append(text)
        if mark:
            break
    return "\n".join(lines)

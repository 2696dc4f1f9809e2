"""Processes of Python functions: without botocore, with a mark at the end of the output, alive after an error."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

END_OF_OUTPUT = "\N{END OF TRANSMISSION BLOCK}"
PATIENCE = 5.0
"""Seconds to wait for the mark: more than a busy machine needs to pass on a line."""
PATIENCE_WITH_THE_DEAD = 0.25
"""The same for a process that has died or was ended, which writes no mark."""
LINEAGE = "    _ms_install_invoke_depth()\n"
"""The line of MiniStack's program for the process that imports botocore, to detect recursive invocations."""
ANSWER = "        _real_stdout.flush()\n\nrun()\n"
"""The place where the program sends a handler's result."""
RAISED = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
"""The program's message that the handler has raised; MiniStack ends a process that sends it."""
FAILED = "the handler raised"
"""Status of such an invocation in the message of a process that goes on."""
NOT_LOADED = "Worker init failed: "
"""How MiniStack begins to say that a function cannot be loaded."""


def install() -> None:
    """Start Python processes that go on after an error, without botocore, and that print the mark."""
    program = lambda_runtime._PYTHON_WORKER_SCRIPT
    if not all(program.count(part) == 1 for part in (LINEAGE, ANSWER, RAISED)):
        raise SystemExit("MiniStack's program for Lambda processes has changed: compare it with workers.py")
    mark = f"        print({END_OF_OUTPUT!a}, file=sys.stderr, flush=True)\n"
    raised = RAISED.replace('"status": "error"', f'"status": "ok", "{FAILED}": True')
    lambda_runtime._PYTHON_WORKER_SCRIPT = (
        program.replace(LINEAGE, "").replace(RAISED, raised).replace(ANSWER, mark + ANSWER)
    )


@replaces(lambda_runtime.Worker, "invoke")
def invoke(original: Callable[..., dict[str, Any]], *arguments: Any, **keywords: Any) -> dict[str, Any]:
    """Run an invocation; report an error of the handler, after which the process goes on.

    An error of the code is a line of the log, as Lambda's runtime writes it.
    """
    try:
        result = original(*arguments, **keywords)
    except RuntimeError as error:
        if not str(error).startswith(NOT_LOADED):
            raise
        text = str(error).removeprefix(NOT_LOADED)
        return {"status": "error", "error": text, "trace": f"[ERROR] {text}"}
    if not result.get(FAILED):
        return result
    said = result["trace"].rstrip().rpartition("\n")[2]
    return {**result, "status": "error", "trace": f"[ERROR] {said}\n{result['trace']}"}


@replaces(lambda_runtime.Worker, "_drain_stderr_bounded")
def output(original: Callable[[Any], str], worker: Any) -> str:
    """Return an invocation's output: up to the mark for Python, MiniStack's guess for other runtimes."""
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

"""One execution environment of a function: ``function.py MODULE:HANDLER``.

Imports the handler, and then serves events from standard input, one JSON object a line: ``event``, and ``seconds`` for
the time that the invocation may take. Answers each with one line of JSON on standard output; the function's own output
goes to standard error. It imports nothing that Lambda's own runtime does not import, because imports of the handler are
measured.
"""

import importlib
import json
import os
import sys
import time
import traceback


class Context:
    """Lambda's context object, as far as handlers use it."""

    aws_request_id = "1"

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left."""
        return int((self._ends_at - time.monotonic()) * 1000)


def main() -> None:
    """Serve events until standard input ends."""
    control = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**fields: object) -> None:
        control.write(json.dumps(fields) + "\n")
        control.flush()

    module, _, name = sys.argv[1].partition(":")
    began, cpu = time.monotonic(), time.process_time()
    handler = getattr(importlib.import_module(module), name)
    say(init_s=time.monotonic() - began, init_cpu_s=time.process_time() - cpu)
    for line in sys.stdin:
        began, cpu = time.monotonic(), time.process_time()
        job = json.loads(line)
        error, answer = "", None
        try:
            answer = handler(job["event"], Context(began + job["seconds"]))
        except Exception:  # noqa: BLE001 - the benchmark reports it
            error = traceback.format_exc()
        ended, cpu = time.monotonic(), time.process_time() - cpu
        say(began=began, ended=ended, cpu_s=cpu, answer=answer, error=error)


if __name__ == "__main__":
    main()

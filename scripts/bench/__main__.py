"""Run the benchmark's parts: ``python -m scripts.bench [cpu | waits] [OPTION ...]``.

``cpu`` measures CPU time per message, ``waits`` measures the time that a member waits for it. Without a part, both run;
options of both, such as ``--quick``, are passed on.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from scripts.bench import cpu
from scripts.bench.waits import part as waits

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = {"cpu": cpu.main, "waits": waits.main}


def main(arguments: Sequence[str]) -> None:
    """Run one part, or both."""
    # SIGTERM unwinds the stack as Ctrl-C does, so that the subprocesses end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    named = arguments[:1] if arguments and arguments[0] in PARTS else []
    for name in named or PARTS:
        PARTS[name](arguments[len(named) :])


if __name__ == "__main__":
    main(sys.argv[1:])

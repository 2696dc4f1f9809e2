"""The table of targets and their limits in ``integration_tests/README.md``.

``python -m integration_tests.targets.matrix`` writes it; a test checks that it is up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from integration_tests.targets import live, local, localstack, running
from integration_tests.targets.interface import WITH_A_TOKEN, Capability, Caveat

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- matrix: written by `python -m integration_tests.targets.matrix` -->\n"
END = "<!-- end of matrix -->\n"
COLUMNS = {
    "local": local.LACKS,
    "running": running.LACKS,
    "localstack": localstack.LACKS,
    "live, by its URL": live.LACKS_WITH_URL_ALONE,
    "live, with a queue": live.LACKS_WITH_QUEUE,
    "live, with a token": {**live.LACKS, **WITH_A_TOKEN},
}


def table() -> str:
    """Return the table: one row for each capability and each caveat, one column for each target."""
    body = [[each.value, *(lacks.get(each, "yes") for lacks in COLUMNS.values())] for each in [*Capability, *Caveat]]
    rows = [["shown is", *COLUMNS], ["---"] * (1 + len(COLUMNS)), *body]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def filled(text: str) -> str:
    """Return the README's text with an up-to-date table."""
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")

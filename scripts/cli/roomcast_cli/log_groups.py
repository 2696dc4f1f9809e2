"""Log groups of a stage, and lines as people read them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast_cli import moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roomcast_cli.stages import Stage

ACCESS = "access"
"""Name of the access log, beside those of the functions."""

LAMBDA = re.compile(r"Task timed out|Runtime exited|\[ERROR\]")
"""Lines of Lambda's own that tell of an error."""

PLACES = {"INIT_START": -2, "START": -1, "END": 1, "REPORT": 2}
"""Lambda's own lines by their first word: before or after those of the function."""

SHOWN = {
    "posts": "posts {}",
    "failed": "failed {}",
    "lag_ms": "lag {} ms",
    "integration_ms": "{} ms",
    "attempt": "attempt {}",
}


def of(stage: Stage) -> dict[str, str]:
    """Return the names of a stage's log groups by function, the access log last."""
    groups = dict(stage.outputs["log_group_names"])
    access = stage.outputs.get("access_log_group_name")
    return {**groups, ACCESS: access} if access else groups


class Line(NamedTuple):
    """A line of a log.

    Attributes:
        at: When it was written, epoch milliseconds.
        log: The function, or ``ACCESS``.
        text: As it was written.
        ingested_at: When CloudWatch had it, epoch milliseconds.
    """

    at: int
    log: str
    text: str
    ingested_at: int = 0

    @property
    def fields(self) -> Mapping[str, Any]:
        """What it says, if it is of Roomcast's functions or of the access log; else nothing."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def is_error(self) -> bool:
        """Whether it tells of an error."""
        return self.fields.get("level") == "ERROR" or bool(LAMBDA.search(self.text))

    def cells(self, *, exact: bool = False) -> list[str]:
        """Return time, log, level or status, message, details and request, for people."""
        fields = self.fields
        at = moments.clock(self.at, exact=exact)
        if not fields:
            return [at, self.log, "", " ".join(self.text.split()), "", ""]
        level = str(fields.get("level") or fields.get("status") or "")
        message = str(fields.get("message") or fields.get("route") or fields.get("event") or "")
        details = [str(fields[name]) for name in ("outcome", "error") if fields.get(name) not in {None, "", "-"}]
        details += [
            text.format(_number(fields[name])) for name, text in SHOWN.items() if fields.get(name) not in {None, "-"}
        ]
        request = fields.get("request_id")
        return [at, self.log, level, message, "  ".join(details), f"request {request}" if request else ""]

    def document(self) -> dict[str, Any]:
        """Return it for JSON: as the function wrote it, with its log and time."""
        fields = self.fields or {"text": self.text}
        times = {"at": moments.rfc3339(self.at), "ingested_at": moments.rfc3339(self.ingested_at)}
        return {"v": 1, "log": self.log, **times, **fields}


def by_time(lines: Iterable[Line]) -> list[Line]:
    """Return lines by time and, of one log and millisecond, in the order in which Lambda writes them."""
    return sorted(lines, key=lambda line: (line.at, line.log, PLACES.get(line.text.partition(" ")[0], 0), line.text))


def _number(value: Any) -> str:  # noqa: ANN401 - any JSON
    return f"{value:g}" if isinstance(value, float) else str(value)

"""The queries that the module ``backend`` saves for the console of Logs Insights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.asked_of_aws.settings import Run, Table

TEXTS = REPOSITORY / "terraform" / "modules" / "backend" / "queries"
NAMES = ("bytes", "connection", "errors", "failed", "follow", "handshakes", "memory", "room", "slowest")


def of_queries(run: Run, functions: Iterable[str]) -> Table:
    """Return the saved queries of a run. Their texts are those of the files.

    Args:
        run: The run.
        functions: Its functions.
    """
    groups = [f"/aws/lambda/{run.name}-{function}" for function in functions]
    return {
        f'module.backend.aws_cloudwatch_query_definition.this["{name}"]': {
            "log_group_names": sorted([*groups, *([run.access_log_name] if run.access_log_name else [])]),
            "name": f"roomcast/{run.name}/{name}",
            "query_string": (TEXTS / f"{name}.txt").read_text("utf-8").removesuffix("\n"),
        }
        for name in NAMES
    }

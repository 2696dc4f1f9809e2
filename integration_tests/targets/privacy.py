"""What clients say, and where it must never be written: logs, reports, anything that outlives a run.

Tests plant ``SECRET`` in data, ids, rooms and tokens. The rooms of all tests, and a text that most of them send, are
looked for as well. ``conftest.py`` searches when a run is over, and the run is red where something is found.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.table import ROOM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from types_boto3_logs.client import CloudWatchLogsClient

    from integration_tests.targets.interface import Target

SECRET = f"secret-{secrets.token_hex(8)}"
"""This run's own, so that what an earlier run left in a file is not taken for this one's."""
FAMILIAR_TEXT = "hello world"
"""What a third of the tests send."""
SPOKEN = (SECRET, ROOM_PREFIX, FAMILIAR_TEXT)
FUNCTIONS = "/aws/lambda/"
"""Start of the names of functions' log groups."""
EXCERPT = 60
"""Characters shown on either side of what was found."""


def leaks(target: Target, since: float) -> list[str]:
    """Return where a target's functions, and the processes that run them, have written what clients said.

    Args:
        target: In use; where its logs cannot be read, only its files are searched.
        since: Older lines are passed over; Unix time in seconds.
    """
    found = leaks_in_files(target.files(), SPOKEN)
    if target.aws is not None and (groups := log_groups(target, target.aws.logs)):
        logs = Logs(target.aws.logs, groups)
        found += [f"a log group: {excerpt(line, phrase)}" for phrase in SPOKEN for line in logs.find(since, phrase)]
    return found


def leaks_in_files(files: Iterable[Path], phrases: Sequence[str] = (SECRET,)) -> list[str]:
    """Return where files hold one of some phrases; files that do not exist hold none."""
    return [
        f"{file}: {excerpt(line, phrase)}"
        for file in files
        if file.is_file()
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        for phrase in phrases
        if phrase in line
    ]


def log_groups(target: Target, logs: CloudWatchLogsClient) -> list[str]:
    """Return the log groups that a target's functions write to: all that there are where nobody else has any."""
    if target.owns_table:
        return [*names_of_groups(logs)]
    outputs = target.deployment.outputs
    access_log = outputs.get("access_log_group_name")
    return [*(outputs.get("log_group_names") or {}).values(), *([access_log] if access_log else [])]


def names_of_groups(logs: CloudWatchLogsClient) -> Iterator[str]:
    """Yield the names of all log groups of functions."""
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=FUNCTIONS):
        yield from (group["logGroupName"] for group in page["logGroups"])


def excerpt(line: str, phrase: str) -> str:
    """Return a phrase with some of what surrounds it in a line."""
    start = line.index(phrase)
    return line[max(0, start - EXCERPT) : start + len(phrase) + EXCERPT]

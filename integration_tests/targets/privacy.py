"""Search logs and reports for clients' data, which must never be written anywhere that outlives a run.

Tests plant ``SECRET`` in data, ids, rooms and tokens. The search covers the rooms of all tests as well, a text that
many of them send, and the token with which clients are let in. ``conftest.py`` searches at the end of a run and fails
the run if anything is found.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from integration_tests.harness import credentials
from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.table import ROOM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from types_boto3_logs.client import CloudWatchLogsClient

    from integration_tests.targets.interface import Target

SECRET = f"secret-{secrets.token_hex(8)}"
"""Unique to this run, so that a file of an earlier run is no leak of this one."""
FAMILIAR_TEXT = "hello world"
"""A third of the tests send it."""
SPOKEN = (SECRET, ROOM_PREFIX, FAMILIAR_TEXT)
FUNCTIONS = "/aws/lambda/"
"""Start of the names of functions' log groups."""
EXCERPT = 60
"""Characters shown on either side of a leak."""


def leaks(target: Target, since: float) -> list[str]:
    """Return the places where a target's functions, or the processes that run them, have written clients' data.

    Args:
        target: An entered target; if its logs cannot be read, only its files are searched.
        since: Skip older lines; Unix time in seconds.
    """
    phrases = (*SPOKEN, *credentials.secrets())
    found = leaks_in_files(target.files(), phrases)
    if target.aws is not None and (groups := log_groups(target, target.aws.logs)):
        logs = Logs(target.aws.logs, groups)
        found += [f"a log group: {excerpt(line, phrase)}" for phrase in phrases for line in logs.find(since, phrase)]
    return found


def leaks_in_files(files: Iterable[Path], phrases: Sequence[str] = ()) -> list[str]:
    """Return the places in files that hold a secret or one of some phrases; skip files that do not exist."""
    return [
        f"{file}: {excerpt(line, phrase)}"
        for file in files
        if file.is_file()
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        for phrase in {SECRET, *credentials.secrets(), *phrases}
        if phrase in line
    ]


def log_groups(target: Target, logs: CloudWatchLogsClient) -> list[str]:
    """Return the log groups of a target's functions: all groups of an account that only the tests use."""
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
    """Return a phrase with its surroundings in a line, but nothing of the token."""
    before, shown, after = map(credentials.hidden, line.partition(phrase))
    return before[-EXCERPT:] + shown + after[:EXCERPT]

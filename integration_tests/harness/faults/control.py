"""Start a fault proxy in a process of its own, and control it.

In a process of its own the proxy is not slowed down by a busy test client.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from integration_tests.harness.faults.fields import RuleError
from integration_tests.harness.faults.rule_book import Count
from integration_tests.harness.faults.rules import FaultPlan
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from integration_tests.harness.faults.rules import Rule

ANSWER_WITHIN = 10.0


class FaultControl:
    """Switches faults on and off while clients talk.

    Args:
        url: Base URL of the proxy; handlers get it instead of the emulator's.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def counts(self) -> list[Count]:
        """Matches and strikes of each rule since it came into force."""
        return self._call("GET")

    def replace(self, rules: Sequence[Rule] = (), seed: int = 0) -> list[Count]:
        """Put other rules in force and return the counts of the old ones.

        Raises:
            RuleError: Two rules have the same name.
        """
        return self._call("PUT", FaultPlan(tuple(rules), seed).dumps())

    def _call(self, method: str, content: str | None = None) -> list[Count]:
        body = None if content is None else content.encode()
        try:
            with urlopen(Request(f"{self.url}/_faults", body, method=method), timeout=ANSWER_WITHIN) as answer:
                return [Count(**count) for count in json.load(answer)["counts"]]
        except HTTPError as error:
            with error:
                raise RuleError(json.load(error)["message"]) from None


@contextmanager
def running_proxy(upstream: str) -> Iterator[FaultControl]:
    """Run a proxy to an emulator's base URL in a process of its own."""
    command = [sys.executable, "-m", "integration_tests.harness.faults.proxy", "--upstream", upstream]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the fault proxy ended before it listened; its error stands above"
            yield FaultControl(url)
        finally:
            process.terminate()

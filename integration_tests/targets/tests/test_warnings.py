"""A failed test shows what its target warned of meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests import conftest

if TYPE_CHECKING:
    from pathlib import Path

NOISE = "2026-11-30 03:22:44 INFO [ministack] all is well"
WARNING = "2026-11-30 03:22:44 WARNING [integrations] x-who failed"


@pytest.mark.parametrize(
    ("before", "meanwhile", "shown"),
    [
        ([WARNING, NOISE], [NOISE, f"{WARNING} again", NOISE], f"{WARNING} again"),
        ([], [NOISE, WARNING], WARNING),  # the log begins with the first test
        ([WARNING], [NOISE], ""),
    ],
)
def test_warnings_since_the_test_began_are_shown(
    tmp_path: Path, before: list[str], meanwhile: list[str], shown: str
) -> None:
    log = tmp_path / "log"
    config, item_stash = pytest.Stash(), pytest.Stash()
    target: Any = SimpleNamespace(files=lambda: [log])
    config[conftest.TARGET] = target
    config[conftest.MEASURED] = config[conftest.FAILED_IN_A_ROW] = 0
    item: Any = SimpleNamespace(config=SimpleNamespace(stash=config), stash=item_stash)
    report = pytest.TestReport("a test", ("a file", 1, "a test"), {}, "failed", "why", "call")
    if before:
        log.write_text("\n".join([*before, ""]), encoding="utf-8")

    conftest.pytest_runtest_setup(item)
    log.write_text("\n".join([*before, *meanwhile]), encoding="utf-8")
    hook = conftest.pytest_runtest_makereport(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)

    assert [text for _, text in report.sections] == ([shown] if shown else [])

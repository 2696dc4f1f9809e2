"""Every test says where it holds, and does not run where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import only_place, reason_to_skip
from integration_tests.targets.interface import Capability
from integration_tests.targets.live import Live
from integration_tests.targets.local import Local

if TYPE_CHECKING:
    from integration_tests.targets.interface import Target

BLACK_BOX = Live("wss://abc.execute-api.eu-central-1.amazonaws.com/live", None)


def test_one_place_is_found_among_other_markers() -> None:
    assert only_place("test_x", ["asyncio", "needs_table", "requires"]) == "needs_table"


@pytest.mark.parametrize("markers", [[], ["asyncio"], ["everywhere", "live_only"], ["everywhere", "everywhere"]])
def test_no_place_or_two_end_the_run_with_the_name_of_the_test(markers: list[str]) -> None:
    with pytest.raises(pytest.UsageError, match="test_x must carry exactly one of everywhere"):
        only_place("test_x", markers)


@pytest.mark.parametrize(
    ("place", "target", "skipped"),
    [
        ("everywhere", BLACK_BOX, False),
        ("needs_table", BLACK_BOX, True),
        ("needs_table", Local(), False),
        ("emulator_only", BLACK_BOX, True),
        ("emulator_only", Local(), False),
        ("live_only", Local(), True),
        ("live_only", BLACK_BOX, False),
        ("without_target", BLACK_BOX, False),
    ],
)
def test_place_decides_where_a_test_runs(
    request: pytest.FixtureRequest, place: str, target: Target, skipped: bool
) -> None:
    assert bool(reason_to_skip(request.node, place, target)) is skipped


@pytest.mark.requires(Capability.TABLE)
def test_missing_capability_skips_with_the_target_s_reason(request: pytest.FixtureRequest) -> None:
    assert reason_to_skip(request.node, "everywhere", BLACK_BOX) == f"live: {BLACK_BOX.lacks()[Capability.TABLE]}"

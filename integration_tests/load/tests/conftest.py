"""Fixtures of the load tool's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.load.tests.stages import running_stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def stage_url() -> Iterator[str]:
    """A stage in miniature that makes no mistake; runs share it, since their rooms have names of their own."""
    with running_stage() as url:
        yield url

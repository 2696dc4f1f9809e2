"""A live stage tells which version of HTTP its ``@connections`` speaks: AWS does not document it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import show_during_test
from scripts.http_versions import OFFERED, chosen, sentence

if TYPE_CHECKING:
    from integration_tests.targets.interface import Target


@pytest.mark.live_only
async def test_the_host_chooses_one_of_the_versions_that_functions_speak(
    target: Target, pytestconfig: pytest.Config
) -> None:
    url = target.deployment.management_endpoint or target.deployment.websocket_url
    version = await asyncio.to_thread(chosen, url)
    show_during_test(pytestconfig, sentence(url, version))
    assert version in OFFERED

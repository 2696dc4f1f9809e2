"""The `specimen` target: an instance that another process has deployed to its emulator, with a mutant's functions.

A plugin of pytest (``-p integration_tests.mutants.specimen``), which adds it to the targets.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Self

from hypothesis import Phase, settings

from integration_tests.targets.aws import Aws
from integration_tests.targets.catalogue import TARGETS
from integration_tests.targets.interface import Capability, Caveat, Deployment, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

DESCRIPTION = "ROOMCAST_SPECIMEN"
"""Environment variable with what `describe` returns."""


def describe(endpoint_url: str, deployment: Deployment) -> str:
    """Return what another process needs to know of an instance."""
    return json.dumps(
        {
            "endpoint_url": endpoint_url,
            "websocket_url": deployment.websocket_url,
            "management_endpoint": deployment.management_endpoint,
            "outputs": dict(deployment.outputs),
        }
    )


class Specimen(Target):
    """An instance on the emulator of the process that has started this one."""

    name = "specimen"
    default_connections = 12

    def __init__(self) -> None:
        description = json.loads(os.environ[DESCRIPTION])
        self.aws = Aws.of_emulator(description.pop("endpoint_url"))
        self.deployment = Deployment(**description)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return what belongs to the process that started the emulator."""
        return {Capability.DEATHS: "The functions' processes belong to another one."}


TARGETS[Specimen.name] = Specimen
settings.register_profile(
    "mutants", phases=[Phase.explicit, Phase.generate], database=None
)  # the first failure is enough
settings.load_profile("mutants")

"""Every target by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integration_tests.harness import credentials
from integration_tests.targets.interface import Target, TargetError
from integration_tests.targets.live import Live
from integration_tests.targets.local import Local
from integration_tests.targets.localstack import LocalStack
from integration_tests.targets.running import Running

if TYPE_CHECKING:
    from pathlib import Path

TARGETS: dict[str, type[Target]] = {target.name: target for target in (Local, Running, LocalStack, Live)}


def create_target(name: str, websocket_url: str | None = None, outputs_file: Path | None = None) -> Target:
    """Return a target that is not yet entered.

    Args:
        name: A key of ``TARGETS``; anything else is refused.
        websocket_url: For ``live``: the stage's URL.
        outputs_file: For ``live``: file with the output of ``terraform output -json``.

    Raises:
        TargetError: The options do not fit the target.
    """
    if name not in TARGETS:
        raise TargetError(f"there is no target {name!r}; there are {', '.join(sorted(TARGETS))}")
    if name == Live.name:
        return admitted(Live(websocket_url, outputs_file))
    if websocket_url or outputs_file:
        raise TargetError(
            f"--websocket-url and --outputs name a deployed stage: use them with --target live, not {name}"
        )
    return admitted(TARGETS[name]())


def admitted(target: Target) -> Target:
    """Return a target whose clients have the token of the environment, if it is a stage that exists already.

    Raises:
        TargetError: The token cannot be sent.
    """
    try:
        credentials.lend_to(target.deployment.websocket_url if hasattr(target, "deployment") else "")
    except credentials.CredentialsError as error:
        raise TargetError(str(error)) from None
    return target

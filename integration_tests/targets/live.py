"""The `live` target: a deployed stage. Creates nothing, changes nothing, destroys nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

import boto3

from integration_tests.targets.aws import Aws
from integration_tests.targets.interface import Capability, Deployment, Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

LACKS = {
    Capability.DEPLOYMENT: "A live stage is never changed by the tests.",
    Capability.TIME_LIMITS: "A run does not last that long.",
    Capability.DEATHS: "AWS lets nobody kill a function's environment.",
    Capability.QUOTAS: "They are shared with everything else in the account, so they are not used up.",
}
BLACK_BOX = (
    "Needs credentials and `--outputs FILE` with what `terraform output -json` prints; a URL alone is a black box."
)
LACKS_WITH_QUEUE = {
    **LACKS,
    Capability.COUNTED_RECEIPTS: (
        "With queued delivery a receipt says that the message is safe, not whom it has reached; load runs wait for it."
    ),
}
LACKS_WITH_URL_ALONE = {**LACKS, Capability.TABLE: BLACK_BOX, Capability.LOGS: BLACK_BOX, Capability.METRICS: BLACK_BOX}


class Live(Target):
    """A stage that somebody deployed, reached by its URL or by the outputs of its Terraform configuration."""

    name = "live"
    default_connections = 20

    def __init__(self, websocket_url: str | None, outputs_file: Path | None) -> None:
        outputs = read_outputs(outputs_file) if outputs_file else {}
        url = websocket_url or outputs.get("websocket_url")
        if not url:
            raise TargetError(
                "the live target needs a stage: give --websocket-url wss://..., or --outputs FILE with what "
                "`terraform output -json` prints"
            )
        endpoint = os.environ.get("ROOMCAST_MANAGEMENT_ENDPOINT") or outputs.get("management_endpoint")
        self.deployment = Deployment(url, endpoint, outputs)
        self.aws = Aws(boto3.Session(region_name=region_of(outputs))) if outputs else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def lacks(self) -> Mapping[Capability, str]:
        """Return what would change the stage, harm its neighbours or take hours, and what a URL or a queue hides."""
        if self.aws is None:
            return LACKS_WITH_URL_ALONE
        return LACKS_WITH_QUEUE if self.deployment.outputs.get("fanout_queue_url") else LACKS


def read_outputs(file: Path) -> dict[str, Any]:
    """Read what ``terraform output -json`` printed.

    Raises:
        TargetError: The file is missing or holds something else.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {name: output["value"] for name, output in document.items()}
    except OSError as error:
        raise TargetError(f"the outputs file cannot be read: {error}") from error
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise TargetError(f"{file} does not hold what `terraform output -json` prints") from error


def region_of(outputs: Mapping[str, Any]) -> str | None:
    """Return the region in the table's ARN (``arn:partition:dynamodb:region:account:table/name``), or None."""
    parts = outputs.get("connections_table_arn", "").split(":")
    return parts[3] if len(parts) >= 6 else None

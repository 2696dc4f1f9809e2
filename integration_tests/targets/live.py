"""The `live` target: a deployed stage. Creates nothing, changes nothing, destroys nothing."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.table import ROOM_PREFIX, ConnectionsTable
from integration_tests.targets.interface import Capability, Caveat, Target, TargetError, hidden_by_token
from integration_tests.targets.probe import ProbeError, probe
from scripts import event_loops, finite_json
from scripts.local.aws import Aws
from scripts.local.deployment import Deployment
from scripts.stage_url import StageUrlError, stage_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

LACKS: Mapping[Capability | Caveat, str] = {
    Capability.DEPLOYMENT: "A live stage is never changed by the tests.",
    Caveat.TIME_LIMITS: "A run does not last that long.",
    Capability.DEATHS: "On AWS a test cannot kill a function's environment.",
    Caveat.QUOTAS: "They are shared with everything else in the account, so they are not used up.",
}
BLACK_BOX = (
    "Needs credentials and `--outputs FILE`, the output of `terraform output -json`; a URL alone is a black box."
)
UNCOUNTED: Mapping[Capability | Caveat, str] = {
    Capability.COUNTED_RECEIPTS: (
        "With queued delivery a receipt says that the message is safe, not how many members it reached; load runs wait "
        "for the deliveries."
    ),
}
LACKS_WITH_QUEUE = {**LACKS, **UNCOUNTED}
NEEDED_OUTPUTS = {
    Capability.TABLE: ("connections_table_name", "shards_per_room", "management_endpoint"),
    Capability.LOGS: ("log_group_names",),
    Capability.METRICS: ("api_id", "stage_name", "sendmessage_function_arn"),
    Capability.ACCESS_LOG: ("access_log_group_name",),
}
"""Outputs that a capability needs; a configuration around the modules may pass on fewer."""
KINDS: Mapping[str, type] = {
    **dict.fromkeys((name for names in NEEDED_OUTPUTS.values() for name in names), str),
    "websocket_url": str,
    "shards_per_room": int,
    "log_group_names": dict,
}
"""The types of outputs; null stands for what a stage has not."""
LACKS_WITH_URL_ALONE: Mapping[Capability | Caveat, str] = {**LACKS, **dict.fromkeys(NEEDED_OUTPUTS, BLACK_BOX)}


class Live(Target):
    """A deployed stage, known by its URL or by the outputs of its Terraform configuration.

    Args:
        websocket_url: The stage's URL; None to take the one in the outputs.
        outputs_file: Output of ``terraform output -json``; None for a stage known by its URL alone.

    Raises:
        TargetError: Neither names a stage, the URL is invalid, or the file or the AWS profile cannot be used.
    """

    name = "live"
    default_connections = 20

    def __init__(self, websocket_url: str | None, outputs_file: Path | None) -> None:
        outputs = read_outputs(outputs_file) if outputs_file else {}
        url = url_of(websocket_url or outputs.get("websocket_url"))
        endpoint = os.environ.get("ROOMCAST_MANAGEMENT_ENDPOINT") or outputs.get("management_endpoint")
        self.deployment = Deployment(url, endpoint, outputs)
        try:
            self.aws = Aws(boto3.Session(region_name=region_of(outputs))) if outputs else None
        except BotoCoreError as error:
            raise TargetError(f"AWS cannot be used: {error}") from error
        self._has_queue = bool(outputs.get("fanout_queue_url"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def check(self) -> None:
        """Do one handshake and send one message; with outputs, read the table and the logs once.

        The receipt shows whether the stage has queued delivery, which a URL does not tell.

        Raises:
            TargetError: The stage, or a resource that the outputs name, cannot be used.
        """
        room = f"{ROOM_PREFIX}probe-{secrets.token_hex(6)}"
        try:
            receipt = event_loops.run(probe(self.deployment.websocket_url, room, partial(self._read, room)))
        except ProbeError as error:
            raise TargetError(f"{self.deployment.websocket_url} {error}") from error
        except (BotoCoreError, ClientError) as error:
            raise TargetError(
                f"the resources in the outputs cannot be read with these credentials ({error})"
            ) from error
        self._has_queue = "queued" in receipt

    async def _read(self, room: str) -> None:
        lacks = self.lacks()
        if self.aws is None:
            return
        if Capability.TABLE not in lacks:
            table = ConnectionsTable.of_stage(self.aws.dynamodb, self.deployment.outputs)
            if not await table.members(room):
                raise ProbeError(f"does not write to the table {table.name}: the outputs are those of another stage")
        if Capability.LOGS not in lacks:
            await Logs(self.aws.logs, [*self.deployment.outputs["log_group_names"].values()]).lines(time.time(), room)

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return everything that would change the stage or take hours, or that a URL or a queue hides."""
        known = LACKS_WITH_URL_ALONE if self.aws is None else {**LACKS, **missing_in(self.deployment.outputs)}
        return {**known, **(UNCOUNTED if self._has_queue else {}), **hidden_by_token()}


def url_of(given: str | None) -> str:
    """Return a stage's URL.

    Raises:
        TargetError: There is none, or it is no stage's.
    """
    if not given:
        raise TargetError(
            "the live target needs a stage: give --websocket-url wss://..., or --outputs FILE with the output of "
            "`terraform output -json`"
        )
    try:
        return stage_url(str(given))
    except StageUrlError as error:
        raise TargetError(str(error)) from error


def missing_in(outputs: Mapping[str, Any]) -> dict[Capability | Caveat, str]:
    """Return the capabilities for which an output is missing, each with the reason."""
    missing = {
        capability: [name for name in names if not outputs.get(name)] for capability, names in NEEDED_OUTPUTS.items()
    }
    return {
        capability: f"Needs the outputs {', '.join(names)}, which the outputs file does not hold."
        for capability, names in missing.items()
        if names
    }


def read_outputs(file: Path) -> dict[str, Any]:
    """Read the output of ``terraform output -json``.

    Raises:
        TargetError: The file is missing or holds something else.
    """
    try:
        document = finite_json.loads(file.read_bytes())
        outputs = {name: output["value"] for name, output in document.items()}
    except OSError as error:
        raise TargetError(f"the outputs file {file} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise TargetError(f"{file} does not hold the output of `terraform output -json`") from error
    for name in KINDS.keys() & outputs.keys():
        if not isinstance(outputs[name], (KINDS[name], NoneType)):
            raise TargetError(f"{file} does not hold the outputs of a stage of Roomcast: {name} has another form")
    return outputs


def region_of(outputs: Mapping[str, Any]) -> str | None:
    """Return the region in the table's ARN (``arn:partition:dynamodb:region:account:table/name``), or None."""
    parts = str(outputs.get("connections_table_arn", "")).split(":")
    return parts[3] if len(parts) >= 6 else None

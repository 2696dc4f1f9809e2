"""The JSON document of the fan-out benchmark, with everything needed to compare it with another stage."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.load.versions import versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.load.plan import Plan
    from integration_tests.targets.interface import Target

FORMAT = 1

REGION_IN_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


def document(target: Target, plans: Sequence[Plan], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result as JSON, with everything needed to compare it with another stage."""
    return {
        "format": FORMAT,
        "benchmark": "fan-out",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "stage": {"target": target.name, "region": region_of(target), **configuration_of(target)},
        "client": {**versions(), "cores": os.cpu_count()},
        "parameters": {
            "sizes": [plan.connections for plan in plans],
            "messages": plans[0].messages - 1,
            "characters": plans[0].size,
        },
        "rooms": results,
    }


def region_of(target: Target) -> str | None:
    """Return a stage's Region, by its URL or its account's session."""
    if match := REGION_IN_HOST.search(target.deployment.websocket_url):
        return match[1]
    return target.aws.session.region_name if target.aws else None


def configuration_of(target: Target) -> dict[str, Any]:
    """Return the configuration of the function that delivers, if the credentials may read it."""
    arn = target.deployment.outputs.get("sendmessage_function_arn")
    if target.aws is None or arn is None:
        return {}
    client = target.aws.session.client("lambda", endpoint_url=target.aws.endpoint_url)
    try:
        function = client.get_function_configuration(FunctionName=arn)
    except (BotoCoreError, ClientError):
        return {}
    environment = function.get("Environment", {}).get("Variables", {})
    return {
        "memory_mb": function.get("MemorySize"),
        "runtime": function.get("Runtime"),
        "architectures": function.get("Architectures"),
        "pace": environment.get("ROOMCAST_PACE"),
        "shards_per_room": environment.get("ROOMCAST_SHARDS_PER_ROOM"),
        "queued_delivery": bool(environment.get("ROOMCAST_QUEUE_URL")),
    }

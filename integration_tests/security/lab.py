"""An instance of the root with the clients of one test, and the events that its functions get."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from integration_tests.harness.table import ROOM_PREFIX

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable
    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment


@dataclass
class Lab:
    """An instance of the root, with the clients of one test.

    Attributes:
        aws: Access to the emulated account.
        deployment: The instance.
        table: Its connections table.
        crowd: Its clients.
    """

    aws: Aws
    deployment: Deployment
    table: ConnectionsTable
    crowd: Crowd

    def room(self) -> str:
        """Return the name of a room that was never used."""
        return f"{ROOM_PREFIX}rights-{secrets.token_hex(6)}"

    async def invoke(self, function: str, event: dict[str, Any]) -> tuple[Any, str]:
        """Invoke a function; return its answer and the lines it wrote."""
        answer = await asyncio.to_thread(
            self.aws.functions.invoke,
            FunctionName=self.deployment.outputs["function_arns"][function],
            LogType="Tail",
            Payload=json.dumps(event).encode(),
        )
        lines = base64.b64decode(answer.get("LogResult", "")).decode()
        return json.loads(answer["Payload"].read()), lines


def event_of(kind: str, connection_id: str, connected_at: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an event as API Gateway sends it."""
    route = {"CONNECT": "$connect", "DISCONNECT": "$disconnect", "MESSAGE": "sendmessage"}[kind]
    context = {"eventType": kind, "routeKey": route, "connectionId": connection_id, "connectedAt": connected_at}
    return {"requestContext": {**context, "requestId": secrets.token_hex(6)}, **fields}

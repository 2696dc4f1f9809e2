"""The authorizer of the recovery tests keeps the contract, so that its clients may do all that the tests do."""

from __future__ import annotations

from typing import Any

from roomcast import events, identity

from integration_tests.recover.conftest import AUTHORIZER


def test_its_clients_may_join_and_send_in_every_room() -> None:
    defined: dict[str, Any] = {}
    exec(AUTHORIZER, defined)  # noqa: S102 - as Lambda does
    answer = defined["handler"]({"methodArn": "arn"}, None)
    context = {
        "connectionId": "a=",
        "connectedAt": 1,
        "routeKey": "$connect",
        "eventType": "CONNECT",
        "authorizer": {"principalId": answer["principalId"], **answer["context"]},
    }

    client = identity.of(events.parse({"requestContext": context}), "CUSTOM")

    assert client.fault == ""
    assert not client.is_expired
    assert all(client.may(right, "any-room") for right in ("join", "send"))

"""The connections table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast_cli.doctor.checks import WARNING, Finding, group_of
from roomcast_cli.doctor.unmade import NotThere
from roomcast_cli.rows import ROOM, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast_cli.doctor.answers import Answers

KEYS = {"HASH": "partition_key", "RANGE": "sort_key"}
TTL = "expires_at"
SAMPLE = 1_000
"""Rows of the table that are looked at: 27 read units for rows of 215 bytes."""

APPLY = "apply Terraform"


def table(answers: Answers) -> Iterator[Finding]:
    """The table is there, has the right keys, and is not held down by a limit."""
    name = answers.stage.table
    try:
        found: Mapping[str, Any] = answers.ask("dynamodb", "describe_table", TableName=name)["Table"]
    except NotThere:
        yield Finding(name, f"the table {name} does not exist: no client can connect", APPLY)
        return
    if found["TableStatus"] not in {"ACTIVE", "UPDATING"}:
        yield Finding(name, f"the table {name} is {found['TableStatus']}: no client can connect", "wait, or ask AWS")
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    if keys != KEYS:
        yield Finding(name, f"the table {name} has the keys {keys} and not {KEYS}: each request fails", APPLY)
    if found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") != "PAY_PER_REQUEST":
        limits = found.get("ProvisionedThroughput", {})
        reads, writes = limits.get("ReadCapacityUnits", 0), limits.get("WriteCapacityUnits", 0)
        yield Finding(
            name,
            f"the table {name} has provisioned capacity, {reads:,} read and {writes:,} write units a second: beyond "
            "that handshakes and messages fail",
            APPLY,
            WARNING,
        )
    caps = found.get("OnDemandThroughput", {})
    for label in ("Read", "Write"):
        cap = caps.get(f"Max{label}RequestUnits", -1)
        if cap >= 0:
            yield Finding(
                name,
                f"the table {name} takes at most {cap:,} {label.lower()} units a second: beyond that handshakes and "
                "messages fail",
                f"take Max{label}RequestUnits away",
                WARNING,
            )


def ttl(answers: Answers) -> Iterator[Finding]:
    """Rows of connections that nothing deletes expire."""
    name = answers.stage.table
    found = answers.ask("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        why = f"the table {name} has no time to live"
    elif found.get("AttributeName") != TTL:
        why = f"the table {name} has its time to live by {found.get('AttributeName')} and not by {TTL}"
    else:
        return
    yield Finding(
        name, f"{why}: rows of connections that were lost stay for ever, and each message is posted to them", APPLY
    )


def shards(answers: Answers) -> Iterator[Finding]:
    """No row is in a partition that functions do not read. Rows that have expired need not be read."""
    read = int(answers.environment("sendmessage").get("ROOMCAST_SHARDS_READ") or 1)
    found = answers.ask(
        "dynamodb",
        "scan",
        TableName=answers.stage.table,
        Limit=SAMPLE,
        FilterExpression="begins_with(partition_key, :room) AND expires_at > :now",
        ExpressionAttributeValues={":room": {"S": ROOM}, ":now": {"N": str(int(time.time()))}},
        ProjectionExpression="partition_key, sort_key",
    )
    high = [place for place in map(place_of, found.get("Items", [])) if place.shard >= read]
    if high:
        most = max(place.shard for place in high) + 1
        yield Finding(
            answers.stage.table,
            f"members are in {most} partitions of a room, and functions read {read}: {len(high)} of {found['Count']} "
            "looked at get no message",
            f"set shards_read to {most} until they have reconnected, which takes two hours",
        )


CHECKS = group_of("data", table, ttl, shards)

"""``roomcast stages``: the stages of an account and Region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast_cli import aws
from roomcast_cli import stages as finding
from roomcast_cli.commands import options, stats
from roomcast_cli.output import DONE, NOT_ALLOWED, document, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast_cli.aws import Account


def stages(
    *,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the stages of the account and Region.

    With their connections, where a census counts them.

    Exit status: 0 done, 3 there is none.
    """
    account = finding.Choice(region=region, profile=profile).account
    found = finding.known(account)
    counts = _connections(account, found)
    if as_json:
        document({"stages": [_fields(each, counts.get(each.name)) for each in found]})
    elif found:
        rows = [
            [each.label, each.region, each.outputs["api_id"], _cell(counts.get(each.name)), each.release]
            for each in found
        ]
        table(["stage", "region", "api", "connections", "release"], rows, right=(3,), colour=not no_color)
    if not found:
        raise finding.nothing(account)
    return DONE


def _connections(account: Account, found: Sequence[finding.Stage]) -> Mapping[str, float]:
    """Return the connections of stages that count them, by name; none to those who may not read metrics."""
    names = [each.name for each in found if "sweeper" in each.outputs["function_arns"]]
    if not names:
        return {}
    client = account.client("cloudwatch")
    from botocore.exceptions import ClientError  # noqa: PLC0415 - the client has loaded it

    try:
        return stats.connections_of(client, names)
    except ClientError as error:
        told = aws.explained(error, account.profile)
        if told is None or told.status != NOT_ALLOWED:
            raise
        return {}


def _cell(connections: float | None) -> str:
    return "-" if connections is None else f"{connections:,.0f}"


def _fields(stage: finding.Stage, connections: float | None) -> dict[str, Any]:
    return {
        "stage": stage.label,
        "region": stage.region,
        "account": stage.account,
        "api_id": stage.outputs["api_id"],
        "connections": None if connections is None else round(connections),
        "release": stage.release,
    }

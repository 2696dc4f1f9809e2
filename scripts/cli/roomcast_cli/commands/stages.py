"""``roomcast stages``: the stages of an account and Region."""

from __future__ import annotations

from roomcast_cli import stages as finding
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, document, table


def stages(
    *,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the stages of the account and Region.

    Exit status: 0 done, 3 there is none.
    """
    account = finding.Choice(region=region, profile=profile).account
    found = finding.known(account)
    if as_json:
        document({"stages": [_fields(each) for each in found]})
    elif found:
        rows = [[each.label, each.region, each.outputs["api_id"], each.release] for each in found]
        table(["stage", "region", "api", "release"], rows, colour=not no_color)
    if not found:
        raise finding.nothing(account)
    return DONE


def _fields(stage: finding.Stage) -> dict[str, str]:
    return {
        "stage": stage.label,
        "region": stage.region,
        "account": stage.account,
        "api_id": stage.outputs["api_id"],
        "release": stage.release,
    }

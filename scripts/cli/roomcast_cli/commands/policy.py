"""``roomcast policy read|operate``: the IAM policy for the commands."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from roomcast_cli import policies, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, WRONG_USAGE, CommandError


def policy(  # noqa: PLR0913 - of the command line
    kind: Annotated[str, typer.Argument(help="read: commands that change nothing; operate: all.")],
    *,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: Annotated[bool, typer.Option("--json", help="In one line; it is JSON in any case.")] = False,
    _no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the IAM policy for these commands, of one stage.

    Exit status: 0 done, 3 no such stage.
    """
    if kind not in policies.KINDS:
        raise CommandError(f"there is no policy {kind}; there are {' and '.join(policies.KINDS)}", WRONG_USAGE)
    found, _ = stages.find(stages.Choice(stage, outputs_file, region, profile))
    print(json.dumps(policies.of(found, kind), indent=None if as_json else 2))
    return DONE

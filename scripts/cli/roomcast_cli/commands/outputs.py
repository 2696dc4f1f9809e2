"""``roomcast outputs``: what a stage consists of."""

from __future__ import annotations

import json
from typing import Any

from roomcast_cli import stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, document, table


def outputs(  # noqa: PLR0913 - of the command line
    *,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print what a stage consists of: names and ARNs of its parts.

    They are called as Terraform's outputs are.

    Exit status: 0 done, 3 no such stage.
    """
    found, _ = stages.find(stages.Choice(stage, outputs_file, region, profile))
    if as_json:
        document({**found.document(), "outputs": found.outputs})
    else:
        rows = [[name, _cell(value)] for name, value in found.outputs.items() if value is not None]
        table(["output", "value"], rows, colour=not no_color)
    return DONE


def _cell(value: Any) -> str:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

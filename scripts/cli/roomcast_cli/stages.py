"""Finding a stage, and what it consists of.

A stage describes itself in the SSM parameter ``/roomcast/<name>/<stage>``, which the module ``backend`` writes, so that
an operator needs no access to Terraform's state. A file of Terraform's outputs does as well.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from roomcast_cli.aws import Account
from roomcast_cli.output import NOT_FOUND, WRONG_USAGE, CommandError, note

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "/roomcast"
"""Of all parameters."""

QUEUES = ("fanout", "presence", "publish")
"""Queues that a stage may have: of messages to deliver, of news of rooms, and of messages of backends."""

TOLD_SINCE = ("account_concurrency", "account_requests_per_second", "additional_routes", "alarms")
"""What parameters of older releases do not tell."""

OF_MAKE_UP = Path("build/stack")
"""Where ``make up`` writes the outputs of its stack, and the variables that lead to its emulator."""


@dataclass(frozen=True)
class Stage:
    """A stage.

    Attributes:
        name: The backend's name.
        stage: The stage's name.
        outputs: As Terraform's outputs, as far as they are known.
        settings: What only the parameter says: ``shards_read``, ``authorization_type``, ``digests``, ``release``.
    """

    name: str
    stage: str
    outputs: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The name by which ``--stage`` finds it."""
        return f"{self.name}/{self.stage}"

    @property
    def region(self) -> str:
        """Its Region."""
        return str(self.outputs["connections_table_arn"]).split(":")[3]

    @property
    def account(self) -> str:
        """Id of its account."""
        return str(self.outputs["connections_table_arn"]).split(":")[4]

    @property
    def table(self) -> str:
        """Name of the connections table."""
        return str(self.outputs["connections_table_name"])

    @property
    def release(self) -> str:
        """Its release; empty for a working tree's, and where it is not known."""
        return str(self.settings.get("release") or "")

    def document(self) -> dict[str, str]:
        """The field that tells in JSON which stage an answer is about."""
        return {"stage": self.label}


@dataclass(frozen=True)
class Choice:
    """What the command line says about where the stage is.

    Attributes:
        stage: NAME or NAME/STAGE.
        outputs: A file of Terraform's outputs.
        region: A Region.
        profile: Name of a profile.
    """

    stage: str | None = None
    outputs: str | None = None
    region: str | None = None
    profile: str | None = None

    @property
    def account(self) -> Account:
        """Access to AWS, where no stage tells its Region."""
        return Account(self.region, self.profile)


def find(choice: Choice) -> tuple[Stage, Account]:
    """Return the chosen stage, and access to its Region.

    The first of these that is given counts: ``--outputs`` or ``--stage``; ROOMCAST_OUTPUTS; ROOMCAST_STAGE; the stack
    of ``make up`` below the working directory; the only stage of account and Region.

    Raises:
        CommandError: There is no such stage, or several.
    """
    if choice.outputs and choice.stage:
        raise CommandError("--outputs and --stage exclude each other", WRONG_USAGE)
    file = choice.outputs or (None if choice.stage else os.environ.get("ROOMCAST_OUTPUTS"))
    if file:
        return _of(read(Path(file)), choice)
    wanted = choice.stage or os.environ.get("ROOMCAST_STAGE")
    if not wanted and (OF_MAKE_UP / "outputs.json").exists():
        _take_variables(OF_MAKE_UP / "env")
        return _of(read(OF_MAKE_UP / "outputs.json"), choice)
    return _of(_only(choice.account, wanted or ""), choice)


def _of(stage: Stage, choice: Choice) -> tuple[Stage, Account]:
    return stage, Account(choice.region or stage.region, choice.profile)


def _only(account: Account, wanted: str) -> Stage:
    name, _, stage = wanted.partition("/")
    found = [each for each in known(account) if name in {"", each.name} and stage in {"", each.stage}]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(each.label for each in found)
        raise CommandError(f"there are several stages: {listed}; name one by --stage", NOT_FOUND)
    raise nothing(account, wanted)


def nothing(account: Account, wanted: str = "") -> CommandError:
    """Return the error that there is no such stage."""
    number, region = account.names()
    place = f"in {region} of account {number}" if number else f"in {region}"
    what = f"no stage {wanted}" if wanted else f"no stage under {FOLDER}/"
    return CommandError(f"{what} {place}; apply one, or name another --region", NOT_FOUND)


def known(account: Account) -> list[Stage]:
    """Return all stages of an account and Region that describe themselves."""
    pages = account.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=FOLDER, Recursive=True)
    found = []
    for parameter in (each for page in pages for each in page["Parameters"]):
        try:
            found.append(of_parameter(parameter["Name"], parameter["Value"]))
        except (KeyError, TypeError, ValueError) as error:
            # Of another program, or of a later release: the others can be used.
            note(f"roomcast: the parameter {parameter['Name']} describes no stage: {error!r}")
    return sorted(found, key=lambda each: each.label)


def settings_of(stage: Stage, account: Account) -> Mapping[str, Any]:
    """Return what only the parameter of a stage says, also of one that a file of outputs describes; else nothing."""
    if stage.settings:
        return stage.settings
    path = stage.outputs.get("stage_parameter_name")
    found = known(account) if path else []
    return next((each.settings for each in found if each.outputs["stage_parameter_name"] == path), {})


def of_parameter(path: str, value: str) -> Stage:
    """Return the stage that a parameter describes.

    Raises:
        KeyError: The parameter lacks a value.
        ValueError: It is no JSON, or its name is another one's.
    """
    _, _, name, stage = path.split("/")
    found = json.loads(value)
    _, partition, _, region, account, resource = found["stage_execution_arn"].split(":")
    prefix = f"arn:{partition}:lambda:{region}:{account}:function:{name}"
    functions = {handler: f"{prefix}-{handler}" for handler in sorted(found["functions"])}
    history_arn = found["history_table_arn"]
    # As Terraform's outputs are called.
    outputs = {
        **{key: found[key] for key in found if key.endswith(("_url", "_arn", "_endpoint", "_group_name"))},
        "alias_arns": {handler: f"{arn}:live" for handler, arn in functions.items()},
        "api_id": resource.partition("/")[0],
        "connections_table_name": found["connections_table_arn"].rpartition("/")[2],
        "function_arns": functions,
        "history_table_name": history_arn and history_arn.rpartition("/")[2],
        "kick_function_arn": functions.get("kick") if found["kick_enabled"] else None,
        "log_group_names": {handler: f"/aws/lambda/{name}-{handler}" for handler in functions},
        "publish_function_arn": functions.get("publish") if found["publish_enabled"] else None,
        "shards_per_room": found["shards_per_room"],
        "stage_name": stage,
        "stage_parameter_name": path,
    }
    settings = {key: found[key] for key in ("authorization_type", "release", "shards_read")}
    settings |= {key: found[key] for key in TOLD_SINCE if key in found}
    return Stage(name, stage, dict(sorted(outputs.items())), {**settings, "digests": found["functions"]})


class OutputsOfFile(dict[str, Any]):
    """The outputs in a file, which may be those of a configuration that passes on only some."""

    def __missing__(self, name: str) -> NoReturn:
        raise CommandError(f"the file of outputs lacks {name}, which this command needs", WRONG_USAGE)


def read(file: Path) -> Stage:
    """Return the stage of a file of Terraform's outputs.

    Raises:
        CommandError: It cannot be read, or holds no outputs of a stage.
    """
    try:
        found = json.loads(file.read_text("utf-8"))
        outputs = {name: output["value"] for name, output in found.items()}
        name = outputs["log_group_names"]["connect"].removeprefix("/aws/lambda/").removesuffix("-connect")
        return Stage(name, outputs["stage_name"], OutputsOfFile(sorted(outputs.items())), {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        sentence = f"{file} cannot be read as the output of `terraform output -json`: {error!r}"
        raise CommandError(sentence, WRONG_USAGE) from error


def _take_variables(file: Path) -> None:
    """Take the variables of a file of ``export`` lines, which lead to the emulator."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    for line in lines:
        name, _, value = line.removeprefix("export ").partition("=")
        if name.startswith("AWS_") or name.lower() == "no_proxy":
            os.environ[name] = "".join(shlex.split(value))

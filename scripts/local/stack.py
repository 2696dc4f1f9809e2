"""A stack that stays: an emulator in the background with Roomcast applied to it.

``python -m scripts.local.stack up [OPTION ...]`` starts it, or brings a running one up to date. The options ``-var``
and ``-var-file`` set variables of Terraform, which a running stack keeps until others are given. ``plan [OPTION ...]``
compares it with ``terraform/``, given options of ``terraform plan``, and exits with 0 only if nothing would change (2
if something would); ``token`` prints a token for it; ``status`` describes it (exit status 3 if nothing runs); ``down``
removes it without a trace. Its files are in ``build/stack/``. Other programs read these:

- ``outputs.json``: the output of ``terraform output -json``;
- ``deployment.json``: the stage, for the target ``running`` of the integration tests;
- ``env``: ``export`` lines that make boto3, the AWS CLI and Terraform talk to the stack, and the stack's two URLs on
  this machine; Terraform's outputs hold AWS's instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import build_handlers, command, loopback
from scripts.handler_sources import BuildError
from scripts.local import access_token, chosen
from scripts.local.aws import emulator_environment
from scripts.local.background import Background, BackgroundEmulator
from scripts.local.deployment import AppliedRoot, access_of, describe_deployment
from scripts.local.emulator import BUILD, EmulatorError, host_zips
from scripts.local.turns import in_turn
from scripts.repository import shown
from scripts.stage_url import in_room
from scripts.terraform import TerraformError
from scripts.terraform.common import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = BUILD / "stack"
DEPLOYMENT_FILE = FOLDER / "deployment.json"
NOTHING_RUNS = "no stack is running; `make up` starts one"
PLANNED = (
    "comparing terraform/ and handlers/ with the stack of `make up`, an emulator on this machine; "
    "`make plan-account` compares them with your AWS account"
)
CHANGES = 2
NOT_RUNNING = 3


@dataclass(frozen=True)
class Stack:
    """The commands, each of which returns its exit status.

    Attributes:
        folder: Directory of all files that outlive a command.
    """

    folder: Path = FOLDER

    def up(self, *options: str) -> int:
        """Start the emulator if necessary, apply changes, and print how to use the stack.

        Args:
            *options: Options ``-var`` and ``-var-file`` of ``terraform apply``; none keeps those of the running stack.
        """
        print("building the zips ...", flush=True)
        build_handlers.build()
        given, _ = chosen.read(options)
        if background := self.emulator.running():
            self._apply(background, given if options else self._chosen)
        else:
            self._remove()
            print("starting the emulator; the first time it is installed ...", flush=True)
            try:
                background = self.emulator.start()
                self._instance(background, given).access.create_bucket()
                self._apply(background, given)
            except BaseException:
                with command.uninterrupted():
                    self._remove()
                raise
        print(self._description(background))
        return 0

    def plan(self, *options: str) -> int:
        """Print whether an apply would change this stack, given further options of ``terraform plan``."""
        print(PLANNED, flush=True)
        background = self.emulator.running()
        if background is None:
            print(NOTHING_RUNS, file=sys.stderr)
            return NOT_RUNNING
        given, others = chosen.read(options)
        workspace = self._instance(background, chosen.Chosen((*self._chosen.options, *given.options))).workspace
        workspace.init()
        found = workspace.plan(*others)
        print(found.text if found.changes else "No changes: the stack is what terraform/ and handlers/ describe.")
        return CHANGES if found.changes else 0

    def token(self, *options: str) -> int:
        """Print a token for this stack, given options of :mod:`scripts.local.access_token`."""
        background = self.emulator.running()
        if background is None:
            print(NOTHING_RUNS, file=sys.stderr)
            return NOT_RUNNING
        outputs = self._instance(background).deployment().outputs
        print(access_token.token(background.emulator.aws, outputs, *options))
        return 0

    def status(self) -> int:
        """Print the state of the stack and how to use it."""
        background = self.emulator.running()
        print(self._description(background) if background else NOTHING_RUNS)
        return 0 if background else NOT_RUNNING

    def down(self) -> int:
        """Stop the emulator and remove all of its files."""
        existed = self.folder.exists()
        with command.uninterrupted():
            self._remove()
        print("The stack is gone." if existed else "No stack was running.")
        return 0

    @property
    def emulator(self) -> BackgroundEmulator:
        """The stack's emulator."""
        return BackgroundEmulator(self.folder)

    @property
    def _environment_file(self) -> Path:
        return self.folder / "env"

    @property
    def _options_file(self) -> Path:
        return self.folder / "options.json"

    @property
    def _chosen(self) -> chosen.Chosen:
        """The variables of the running stack."""
        text = self._options_file.read_text(encoding="utf-8") if self._options_file.exists() else "[]"
        return chosen.Chosen(json.loads(text))

    def _instance(self, background: Background, given: chosen.Chosen | None = None) -> AppliedRoot:
        given = self._chosen if given is None else given
        aws = background.emulator.aws
        variables: dict[str, Any] = {}
        if wants_tokens(given):
            variables = {"handlers_directory": str(host_zips()), **access_token.variables(aws)}
            if given.value("jwt_jwks_url") is not None:
                del variables["jwt_secret_arn"]
        return AppliedRoot(access_of(aws), self.folder / "terraform", variables, given.options)

    def _apply(self, background: Background, given: chosen.Chosen) -> None:
        """Apply the root and write the files that other programs read."""
        print("applying terraform/ to it; on a new emulator this takes a minute or so ...", flush=True)
        instance = self._instance(background, given)
        deployment = instance.apply()
        replace_file(self._options_file, json.dumps(given.options))
        replace_file(self.folder / "outputs.json", json.dumps(instance.workspace.output(), indent=2))
        replace_file(self.folder / DEPLOYMENT_FILE.name, describe_deployment(background.emulator.url, deployment))
        variables = {
            **emulator_environment(background.emulator.url),
            **loopback.without_proxy(os.environ),
            "ROOMCAST_WEBSOCKET_URL": deployment.websocket_url,
            "ROOMCAST_MANAGEMENT_ENDPOINT": str(deployment.management_endpoint),
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        replace_file(self._environment_file, "\n".join(lines))

    def _remove(self) -> None:
        self.emulator.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _description(self, background: Background) -> str:
        url = self._instance(background).deployment().websocket_url
        is_guarded = wants_tokens(self._chosen)
        return (
            f"Roomcast is up, on an emulator in the background (process {background.pid}).\n\n"
            f"  WebSocket URL    {url}\n"
            + ("  a token          export TOKEN=$(make -s token)\n" if is_guarded else "")
            + f"  two consoles     {console(in_room(url, 'lobby'), is_guarded=is_guarded)}\n"
            '  type in one      {"action":"sendmessage","data":"hello world"}\n'
            f"  AWS tools        source {shown(self._environment_file)}\n"
            f"  log              {shown(self.emulator.log)}\n\n"
            "`make plan` compares it with terraform/, `make up` brings it up to date, `make down` removes it."
        )


def wants_tokens(given: chosen.Chosen) -> bool:
    """Whether the chosen variables make the stack want tokens."""
    return given.value("authorization_type") == "JWT"


def console(url: str, *, is_guarded: bool = False) -> str:
    """Return the command of an installed client: wscat if npm's npx is there, else the one in this environment.

    Args:
        url: The stage's URL, with a room.
        is_guarded: Whether the stage wants a token, which wscat alone can send.
    """
    if is_guarded:
        return f"npx wscat -c '{url}' -H \"Authorization: Bearer $TOKEN\""
    if shutil.which("npx"):
        return f"npx wscat -c '{url}'"
    # `websockets` asks the proxy for 127.0.0.1 too, wscat does not.
    direct = "no_proxy=127.0.0.1 " if loopback.uses_proxy(os.environ) else ""
    return f"{direct}{shlex.quote(shown(Path(sys.executable)))} -m websockets '{url}'"


def chosen_command(arguments: Sequence[str] | None, stack: Stack) -> Callable[[], int]:
    """Return the command of a command line."""
    commands = {
        "up": stack.up,
        "down": stack.down,
        "plan": stack.plan,
        "status": stack.status,
        "token": stack.token,
    }
    parser = argparse.ArgumentParser(prog="python -m scripts.local.stack", description="A stack that stays.")
    parser.add_argument("command", choices=commands)
    parser.add_argument(
        "options", nargs=argparse.REMAINDER, help="with up: -var and -var-file; with plan: options of `terraform plan`"
    )
    given = parser.parse_args(arguments)
    if given.options and given.command not in {"up", "plan", "token"}:
        parser.error(f"{given.command} takes no options")
    if given.command in {"up", "plan"}:
        try:
            _, others = chosen.read(given.options)
        except ValueError as error:
            parser.error(str(error))
        if others and given.command == "up":
            parser.error(f"up takes -var and -var-file alone, not {others[0]}")
    return partial(commands[given.command], *given.options)


def main(arguments: Sequence[str] | None = None, stack: Stack | None = None) -> int:
    """Run the command line; return its exit status.

    Args:
        arguments: The command line; this process's own by default.
        stack: The stack that it is about; the one of ``make up`` by default.
    """
    stack = stack or Stack()
    ordered = chosen_command(arguments, stack)
    command.prepare()
    stack.folder.parent.mkdir(parents=True, exist_ok=True)
    situation = "another `make up`, `make plan` or `make down` is at work in this clone"
    try:
        with in_turn(stack.folder.with_suffix(".lock"), situation):
            return ordered()
    except (access_token.NoTokenError, BuildError, EmulatorError, TerraformError, BotoCoreError, ClientError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return command.interrupted("stack")


if __name__ == "__main__":
    sys.exit(main())

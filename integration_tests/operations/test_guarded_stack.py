"""A stack of `make up` that wants tokens, as the README shows it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.harness.console import Console, installed_wscat
from integration_tests.operations.test_stack import command, exports
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.without_target

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


class Example(NamedTuple):
    """The README's example.

    Attributes:
        variables: Options that `make up` gets.
        consoles: What the example's wscat gets, line by line.
        typed: What is typed into it.
        answer: What it shows then, after the connection's id.
    """

    variables: list[str]
    consoles: list[str]
    typed: str
    answer: str


@pytest.fixture(scope="module")
def example() -> Example:
    """The block with the option JWT."""
    [block] = [each for each in re.findall(r"```\n(.*?)```", README, re.DOTALL) if "authorization_type=JWT" in each]
    [variables] = re.findall(r"^\$ make up ARGS='([^']*)'", block, re.MULTILINE)
    assert re.findall(r"^\$ export TOKEN=\$\(make -s token\)", block, re.MULTILINE)
    consoles = re.findall(r"^\$ npx wscat (.*)$", block, re.MULTILINE)
    [typed] = re.findall(r"^> (.*)$", block, re.MULTILINE)
    [answer] = re.findall(r"^< .*…(.*)$", block, re.MULTILINE)
    return Example(shlex.split(variables), consoles, typed, answer)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Iterator[Path]:
    """Folder of a stack with the example's variables."""
    folder = tmp_path_factory.mktemp("tokens") / "stack"
    try:
        printed = command(folder, "up", *example.variables, expected=0).stdout
        assert "make -s token" in printed
        assert "-H" in printed
        yield folder
    finally:
        command(folder, "down", expected=0)


@pytest.fixture
def url(folder: Path) -> str:
    return exports(folder / "env")["ROOMCAST_WEBSOCKET_URL"]


async def test_the_readmes_consoles_are_let_in(folder: Path, url: str, example: Example) -> None:
    wscat = await installed_wscat()
    token = command(folder, "token", expected=0).stdout.strip()
    assert len(example.consoles) == 2
    for line in example.consoles:
        written = line.replace("$TOKEN", token).replace("ws://127.0.0.1:…/live", url)
        async with Console.running(wscat, *shlex.split(written, comments=True)) as console:
            console.type(example.typed)
            await console.expect(example.answer)


async def test_a_token_has_the_chosen_rights(folder: Path, url: str) -> None:
    token = command(folder, "token", "--subject", "bob", "--rooms", "lobby,team-*", expected=0).stdout.strip()
    client = await Client.connect(url, "team-7", headers={"Authorization": f"Bearer {token}"})
    await client.send("whoami")
    assert (await client.receive_json())["whoami"]["identity"] == "bob"
    await client.close()
    for headers, room, status in (({"Authorization": f"Bearer {token}"}, "kitchen", 403), ({}, "lobby", 401)):
        with pytest.raises(InvalidStatus) as refusal:
            await Client.connect(url, room, headers=headers)
        assert refusal.value.response.status_code == status


async def test_it_keeps_its_variables_until_others_are_given(folder: Path, url: str, tmp_path: Path) -> None:
    file = tmp_path / "chosen.tfvars"
    file.write_text('authorization_type = "JWT"\njwt_token_from     = ["header"]\nmessages_per_second = 7\n')
    command(folder, "up", "-var-file", str(file), expected=0)
    command(folder, "up", expected=0)
    assert "No changes" in command(folder, "plan", expected=0).stdout
    token = command(folder, "token", expected=0).stdout.strip()
    client = await Client.connect(url, "lobby", headers={"Authorization": f"Bearer {token}"})
    await client.close()


@pytest.mark.parametrize("options", [["-destroy"], ["-var"], ["-target=module.backend"], ["help"]], ids=str)
def test_other_options_are_refused(tmp_path: Path, options: list[str]) -> None:
    assert "stack: error:" in command(tmp_path / "stack", "up", *options, expected=2).stderr

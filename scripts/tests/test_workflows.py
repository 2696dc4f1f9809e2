"""Workflows run other people's code only by its commit."""

from __future__ import annotations

import re

from scripts.build_handlers import LAMBDA_ARCHITECTURES, SOURCES
from scripts.release.contents import FOLDER
from scripts.repository import REPOSITORY

WORKFLOWS = REPOSITORY / ".github" / "workflows"
OWN = re.compile(r"\$/\.github/workflows/\w+\.yml")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+")


def test_every_action_is_named_by_its_commit_and_its_version() -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in WORKFLOWS.iterdir()}
    uses = {(name, use) for name, text in texts.items() for use in re.findall(r"\buses:\s*(.*)", text)}

    assert uses
    assert {(name, use) for name, use in uses if not (PINNED.fullmatch(use) or OWN.fullmatch(use))} == set()


def test_secrets_are_environment_variables_of_single_steps() -> None:
    """A secret in a command would stand in the process list."""
    lines = [line for file in WORKFLOWS.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if "secrets." in line]

    assert used
    assert [line for line in used if not re.fullmatch(r" {10}([A-Z_]+): \$\{\{ secrets\.\1 \}\}", line)] == []


def test_what_a_release_publishes_is_built_again_before() -> None:
    text = (WORKFLOWS / "attested.yml").read_text(encoding="utf-8")
    steps = ["make verify-release", "make sbom", "cmp ", "actions/attest@", "gh release create", "gh release edit"]
    places = [text.index(step) for step in steps]

    assert places == sorted(places)
    assert "--draft " in text


def test_each_zip_with_third_party_code_is_bound_to_its_bill_of_materials() -> None:
    text = (WORKFLOWS / "attested.yml").read_text(encoding="utf-8")
    zips = {
        f"{lock.stem}-{architecture}.zip" for lock in SOURCES.glob("*.lock") for architecture in LAMBDA_ARCHITECTURES
    }
    bound = re.findall(rf"subject-path: {re.escape(FOLDER)}/(.*)\n +sbom-path: build/sbom/(.*)\.cdx\.json\n", text)

    assert zips
    assert sorted(bound) == [(name, name) for name in sorted(zips)]


def test_rights_to_write_belong_to_single_jobs() -> None:
    for file in WORKFLOWS.iterdir():
        text = file.read_text(encoding="utf-8")
        [shared] = re.findall(r"^permissions:(.*\n(?:  .*\n)*)", text, re.MULTILINE)
        assert "write" not in shared, file.name


def test_one_action_has_one_commit_in_all_workflows() -> None:
    pins = {pin for file in WORKFLOWS.iterdir() for pin in re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))}

    assert len(pins) == len({pin.partition("@")[0] for pin in pins})

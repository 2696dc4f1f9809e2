"""API Gateway deploys creations and updates automatically; the module triggers a deployment after deletions."""

from __future__ import annotations

import re

import pytest

from scripts.repository import REPOSITORY

MODULE = REPOSITORY / "terraform" / "modules" / "websocket-api" / "main.tf"
NOT_DEPLOYED = {
    "aws_apigatewayv2_api": "the API goes with its deployments",
    "aws_apigatewayv2_stage": "settings of the stage apply without a deployment",
}


def resources() -> dict[str, str]:
    """Return the types of API Gateway's objects in the module, with the names of their blocks."""
    text = MODULE.read_text(encoding="utf-8")
    found = re.findall(r'^resource "(aws_apigatewayv2_\w+)" "(\w+)"', text, re.MULTILINE)
    return {kind: name for kind, name in found if name != "redeployment"}


@pytest.mark.parametrize("kind", sorted(resources().keys() - NOT_DEPLOYED.keys()))
def test_ids_of_all_that_is_deployed_are_in_the_snapshot(kind: str) -> None:
    """The digest must include each new kind of object, because a stage would serve a removed one for ever."""
    text = MODULE.read_text(encoding="utf-8")
    snapshot = text.partition("snapshot = sha256(jsonencode({")[2].partition("}))")[0]
    assert re.search(rf"in {kind}\.{resources()[kind]} : key => \w+\.id }}", snapshot)


def test_nothing_is_created_before_it_is_destroyed() -> None:
    """Terraform would apply the rule to all dependencies of the object, and their names must be unique."""
    files = [*(REPOSITORY / "terraform").rglob("*.tf")]
    assert files
    rule = re.compile(r"^\s*create_before_destroy", re.MULTILINE)
    assert [str(file.relative_to(REPOSITORY)) for file in files if rule.search(file.read_text(encoding="utf-8"))] == []

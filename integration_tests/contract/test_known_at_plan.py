"""Values that decide which objects exist must be known at plan: Terraform's refusal shows the line that says so.

ARNs must be of the backend's Region.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scripts.hcl import read_blocks
from scripts.terraform import CONFIGURATION, TerraformError, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.terraform import Plan

pytestmark = pytest.mark.without_target

EXPANSION = re.compile(r"^  (?:count|for_each)\s+= (?P<expression>[^#\n]*)(?:# (?P<comment>.*))?$", re.MULTILINE)
ALWAYS_KNOWN = {
    "local.remembered": "its keys are written down",
    "local.settled": "its keys are written down",
    "{ messages = aws_sqs_queue.messages, dead_letters = aws_sqs_queue.dead_letters }": "its keys are written down",
}
"""Expressions without a comment, and why."""
OF_ANY_REGION = {
    "jwt_secret_arn": "the function that checks tokens asks the secret's Region",
    "permissions_boundary_arn": "IAM has no Regions",
}
"""Variables with an ARN that `regions.tf` does not compare, and why."""
BACKEND = CONFIGURATION / "modules" / "backend"
README = CONFIGURATION / "README.md"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "none", "AWS_REGION": "us-east-1", "AWS_SECRET_ACCESS_KEY": "none"}
OFFLINE = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
LATER = """
resource "terraform_data" "later" {
  input = true
}
"""
"""Its output and its id are known after an apply."""
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:theirs"
INVOKE_ARN = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
OBJECTS = f"""
module "backend" {{
  access_log_enabled      = terraform_data.later.output
  authorization_type      = "CUSTOM"
  authorizer_function_arn = "{FUNCTION}"
  authorizer_permission   = terraform_data.later.output

  additional_routes = {{
    (terraform_data.later.id) = {{ function_name = "theirs", invoke_arn = "{INVOKE_ARN}" }}
  }}
}}
"""
FUNCTIONS = """
module "backend" {
  authorization_type = terraform_data.later.id
  handlers_bucket    = tostring(terraform_data.later.output)
  history_rooms      = jsondecode(terraform_data.later.id)
  presence_rooms     = jsondecode(terraform_data.later.id)
  kick_enabled       = terraform_data.later.output
  kick_principals    = [terraform_data.later.id]
  sweeper            = { enabled = terraform_data.later.output }
  queued_delivery    = { enabled = terraform_data.later.output }
}
"""
ALARMS = """
module "backend" {
  alarms = {
    page_topic_arn = terraform_data.later.id
    thresholds     = { unavailable = tonumber(terraform_data.later.id) }
  }
}
"""


EVERYTHING = """
  alarms             = { page_topic_arn = terraform_data.later.id, ticket_topic_arn = terraform_data.later.id }
  access_log_enabled = true
  handlers_bucket    = "theirs"
  history_rooms      = ["*"]
  presence_rooms     = ["*"]
  kick_enabled       = true
  publish_enabled    = true
  dashboard_enabled  = true
  sweeper            = { enabled = true }
  queued_delivery    = { enabled = true, fifo = true }

  publish_queue_enabled = true
"""
"""Arguments that switch all objects on."""
KNOWN = {
    "access_log_enabled",
    "additional_routes",
    "alarms",
    "authorization_type",
    "authorizer_permission",
    "dashboard_enabled",
    "existing_table",
    "functions",
    "handlers_bucket",
    "history_rooms",
    "presence_rooms",
    "kick_enabled",
    "kick_principals",
    "publish_enabled",
    "publish_queue_enabled",
    "published_handlers",
    "publisher_principals",
    "queued_delivery",
    "saved_queries_enabled",
    "sweeper",
}
"""Variables that decide which objects exist; all others may be unknown at plan."""


def expansions() -> Iterator[tuple[str, re.Match[str]]]:
    """Yield each `count` and `for_each` of the modules, with the name of its file."""
    for file in sorted((CONFIGURATION / "modules").glob("*/*.tf")):
        for found in EXPANSION.finditer(file.read_text(encoding="utf-8")):
            yield file.relative_to(CONFIGURATION).as_posix(), found


def variables() -> set[str]:
    """Return the names of the backend's variables."""
    return {block.labels[0] for file in BACKEND.glob("*.tf") for block in read_blocks(file) if block.kind == "variable"}


def test_each_line_that_decides_which_objects_exist_says_what_must_be_known() -> None:
    silent = [
        f"{file}: {found[0].strip()}"
        for file, found in expansions()
        if "must be known at plan" not in (found["comment"] or "") and found["expression"].strip() not in ALWAYS_KNOWN
    ]
    assert not silent
    assert {*ALWAYS_KNOWN} <= {found["expression"].strip() for _, found in expansions()}


def test_the_readme_lists_each_variable_that_must_be_known() -> None:
    listed = re.search(
        r"\*\*Values of other resources\.\*\*(.+?) decide which", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert listed
    names = {*re.findall(r"`(\w+)", listed[1])} & variables()
    assert names == KNOWN
    comments = [found["comment"] or "" for file, found in expansions() if file.startswith("modules/backend/")]
    commented = {name for comment in comments for name in re.findall(r"\w+", comment)}
    assert commented & variables() <= names


def test_each_arn_is_compared_with_the_region() -> None:
    arns = {name for name in variables() if name.endswith("_arn")}
    compared = {*re.findall(r"\bvar\.(\w+_arn)\b", (BACKEND / "regions.tf").read_text(encoding="utf-8"))}
    assert compared == arns - OF_ANY_REGION.keys()
    assert {*OF_ANY_REGION} <= arns


@pytest.mark.parametrize(
    ("override", "names"),
    [
        (OBJECTS, ["access_log_enabled", "the keys of additional_routes", "authorizer_permission"]),
        (ALARMS, ["alarms"]),
        (FUNCTIONS, ["authorization_type", "handlers_bucket", "history_rooms", "queued_delivery.enabled"]),
    ],
)
def test_a_refusal_names_the_variable(tmp_path: Path, override: str, names: list[str]) -> None:
    with pytest.raises(TerraformError) as refusal:
        plan(tmp_path, override)
    for name in names:
        assert re.search(rf"# [^#\n]*\b{re.escape(name)}\b[^#\n]* must be known at plan", str(refusal.value)), name


@pytest.mark.parametrize("authorization_type", ["CUSTOM", "JWT"])
def test_all_other_values_may_be_unknown_at_plan(tmp_path: Path, authorization_type: str) -> None:
    unknown = "".join(f"  {name} = jsondecode(terraform_data.later.id)\n" for name in sorted(variables() - KNOWN))
    given = f'  authorization_type = "{authorization_type}"\n{EVERYTHING}'
    assert plan(tmp_path, f'module "backend" {{\n{given}{unknown}}}\n').changes


def plan(folder: Path, override: str) -> Plan:
    """Plan the root with an override of its backend, without asking AWS.

    Raises:
        TerraformError: Terraform refuses it.
    """
    workspace = Workspace(CONFIGURATION, folder, environment=ENVIRONMENT)
    workspace.init()
    root = workspace.tree / CONFIGURATION.name
    (root / "later.tf").write_text(LATER, encoding="utf-8")
    (root / "later_override.tf").write_text(OFFLINE + override, encoding="utf-8")
    return workspace.plan()

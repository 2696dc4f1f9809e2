"""A plan from an earlier commit's state creates, replaces and destroys nothing.

Each folder of `states/`, named after the commit, holds a state and the variables of its apply. Terraform plans from it
without a refresh and with a provider that skips its checks, so that no request reaches AWS.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.asked_of_aws.functions import OWN
from scripts.build_handlers import OUTPUT
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.without_target

STATES = Path(__file__).parent / "states"
DIGEST = re.compile(r"<(sha256|base64) of (\w+\.zip)>")
"""Placeholder in a kept state for the digest of a zip: a function's code may change, its address may not."""

NEW = re.compile(
    r'module\.backend\.terraform_data\.(?:members_counted|refusals|region|(?:in_use|settled|settled_before|value_in_use)\["\w+"\])'
    r"|module\.backend\.aws_ssm_parameter\.stage"
    r'|module\.backend\.aws_cloudwatch_query_definition\.this\["\w+"\]'
    r'|module\.backend\.aws_lambda_(?:alias\.(?:readers|writers)|permission\.alias(?:_principal)?)\["\w+"\]'
    r'|module\.backend\.module\.(?:handler\["\w+"\]\.aws_iam_role_polic(?:ies|y_attachments)_exclusive\.this'
    r'|fanout_queue\[0\]\.aws_sqs_queue_policy\.tls_only\["\w+"\]'
    r"|websocket_api\.aws_apigatewayv2_integration\.redeployment"
    r"|websocket_api\.terraform_data\.(?:access_log(?:_remembered)?|authorizer\[\"[^\"]+\"\])"
    r'|(?:handler|zips\.aws_s3_object\.zip)\["(?:join|leave|ping|who)"\](?:\..+)?'
    r'|websocket_api\.aws_apigatewayv2_(?:integration|route)\.this\["(?:join|leave|ping|who)"\])'
)
"""Addresses of objects that are newer than the first of these commits and may be created."""
OLD = re.compile(
    r'module\.backend\.terraform_data\.(?:first_apply|queued\["\w+"\]|shards|shards_(?:per_room|read)\["\d=\d"\])'
)
"""Addresses of objects that newer ones stand for. They exist in the state alone, so they may go."""

PROVIDER = """
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "unused"
  secret_key                  = "unused"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""


BEFORE = 'resource "terraform_data" "before" {\n}\n\n'
IN_WAITING = 'module "backend" {\n  depends_on = [terraform_data.before]\n'
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/members"
DASHBOARD = {
    "module": "module.backend",
    "mode": "managed",
    "type": "aws_cloudwatch_dashboard",
    "name": "this",
    "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
    "instances": [
        {
            "index_key": 0,
            "schema_version": 0,
            "attributes": {
                "dashboard_arn": "arn:aws:cloudwatch::111122223333:dashboard/kept-us-east-1",
                "dashboard_body": "{}",
                "dashboard_name": "kept-us-east-1",
                "id": "kept-us-east-1",
            },
        }
    ],
}
WAITING = """
resource "terraform_data" "before" {
}

module "account_logging" {
  source     = "../modules/account-logging"
  depends_on = [terraform_data.before]
}
"""
LOGGING_ROLE = "arn:aws:iam::111122223333:role/api-gateway-logs"
LOGGING = {
    "aws_iam_role": {
        "arn": LOGGING_ROLE,
        "assume_role_policy": json.dumps(
            {
                "Statement": [
                    {
                        "Action": "sts:AssumeRole",
                        "Effect": "Allow",
                        "Principal": {"Service": "apigateway.amazonaws.com"},
                    }
                ],
                "Version": "2012-10-17",
            }
        ),
        "description": "Lets API Gateway write the logs of all APIs of the account.",
        "force_detach_policies": False,
        "id": "api-gateway-logs",
        "max_session_duration": 3600,
        "name": "api-gateway-logs",
        "path": "/",
    },
    "aws_iam_role_policy_attachment": {
        "id": "api-gateway-logs-20260101000000000000000001",
        "policy_arn": "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        "role": "api-gateway-logs",
    },
    "aws_api_gateway_account": {"cloudwatch_role_arn": LOGGING_ROLE, "id": "api-gateway-account"},
}
"""Attributes of the objects of ``modules/account-logging``, as a state has them."""


def digest_of(match: re.Match[str]) -> str:
    """Return the digest for a placeholder."""
    digest = hashlib.sha256((OUTPUT / match[2]).read_bytes())
    return digest.hexdigest() if match[1] == "sha256" else base64.b64encode(digest.digest()).decode()


def planned(
    name: str,
    scratch: Path,
    edits: Mapping[str, str] | None = None,
    of_state: Callable[[str], str] = lambda state: state,
    **more: object,
) -> list[Mapping[str, Any]]:
    """Plan the root from a kept state; return the changes of its objects.

    Args:
        name: Name of the state.
        scratch: Empty directory.
        edits: Text of the root's ``main.tf``, and its replacement.
        of_state: Changes the state.
        **more: Variables besides those of the state's apply.
    """
    variables = {**json.loads((STATES / name / "variables.json").read_text(encoding="utf-8")), **more}
    state = (STATES / name / "state.json").read_text(encoding="utf-8")
    workspace = Workspace(CONFIGURATION, scratch, variables=variables)
    workspace.init()
    (workspace.tree / CONFIGURATION.name / "provider_override.tf").write_text(PROVIDER, encoding="utf-8")
    main = workspace.tree / CONFIGURATION.name / "main.tf"
    for text, instead in (edits or {}).items():
        assert text in main.read_text(encoding="utf-8")
        main.write_text(main.read_text(encoding="utf-8").replace(text, instead), encoding="utf-8")
    (scratch / "terraform.tfstate").write_text(of_state(DIGEST.sub(digest_of, state)), encoding="utf-8")
    return workspace.changes("-refresh=false")


NAMES = sorted(folder.name for folder in STATES.iterdir())


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Mapping[str, Any]]]:
    """Plans with the variables of a state's apply, made once for each state."""
    return functools.cache(lambda name: planned(name, tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_replaced(name: str, unchanged: Callable[[str], list[Mapping[str, Any]]]) -> None:
    made, gone = made_and_gone(unchanged(name))
    assert {address for address in gone if not OLD.fullmatch(address)} == set()
    assert {address for address in made if not NEW.fullmatch(address)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_replaced_while_the_module_waits_for_something(name: str, tmp_path: Path) -> None:
    """Data sources of a module with `depends_on` are read during the apply: no name may be made of them alone."""
    made, gone = made_and_gone(planned(name, tmp_path, {'module "backend" {\n': BEFORE + IN_WAITING}))
    assert {address for address in gone if not OLD.fullmatch(address)} == set()
    assert {address for address in made if not NEW.fullmatch(address)} == {"terraform_data.before"}


def test_nothing_is_replaced_while_the_module_of_an_existing_table_waits_for_something(tmp_path: Path) -> None:
    """Its own table is unknown then, and names and Regions come from the ARN that it was given."""
    made, gone = made_and_gone(
        planned(
            "30b3d7f_everything_on",
            tmp_path,
            {'module "backend" {\n': BEFORE + IN_WAITING},
            with_a_table_of_its_own,
            existing_table={"arn": TABLE},
            dashboard_enabled=True,
        )
    )
    assert {address for address in gone if not OLD.fullmatch(address)} == set()
    assert {address for address in made if not NEW.fullmatch(address)} == {"terraform_data.before"}


def with_a_table_of_its_own(state: str) -> str:
    """Return a state without the backend's table, and with a dashboard."""
    kept = json.loads(state)
    kept["resources"] = [each for each in kept["resources"] if each["type"] != "aws_dynamodb_table"] + [DASHBOARD]
    return json.dumps(kept)


def test_the_policy_of_logs_stays_while_its_module_waits_for_something(tmp_path: Path) -> None:
    tree, module = tmp_path / "tree", Path("modules", "account-logging")
    folder = tree / CONFIGURATION.name / "waiting"
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(PROVIDER + WAITING, encoding="utf-8")
    shutil.copytree(CONFIGURATION / module, folder.parent / module)
    workspace = Workspace(folder, tmp_path / "scratch", repository=tree)
    workspace.init()
    resources = [
        {
            "module": "module.account_logging",
            "mode": "managed",
            "type": kind,
            "name": "this",
            "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
            "instances": [{"schema_version": 0, "attributes": attributes}],
        }
        for kind, attributes in LOGGING.items()
    ]
    state = {"version": 4, "serial": 1, "lineage": "5b6ef0bc-4547-f56e-1b0a-3f20051103f4", "resources": resources}
    (tmp_path / "scratch" / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")
    assert made_and_gone(workspace.changes("-refresh=false")) == ({"terraform_data.before"}, set())


def test_a_key_changes_nothing_but_what_it_encrypts(
    unchanged: Callable[[str], list[Mapping[str, Any]]], tmp_path: Path
) -> None:
    """No right changes with a key, so functions may use the table before, during and after the change."""
    name, key = "30b3d7f_everything_on", "arn:aws:kms:us-east-1:111122223333:key/one"
    before = results(unchanged(name))
    after = results(planned(name, tmp_path, table_kms_key_arn=key, log_kms_key_arn=key))
    assert before.keys() == after.keys()
    changed = {address.rpartition(".module.")[2] for address in before if before[address] != after[address]}
    assert changed == {
        "connections_table.aws_dynamodb_table.this[0]",
        "websocket_api.aws_cloudwatch_log_group.access[0]",
        *(
            f'handler["{function}"].aws_cloudwatch_log_group.this'
            for function in {*OWN} - {"authorizer", "kick", "presence", "publish", "sweeper"}
        ),
    }


def results(changes: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each object on AWS as the plan expects it, as far as it knows."""
    return {
        change["address"]: change["change"]["after"]
        for change in changes
        if change["mode"] == "managed" and change["type"] != "terraform_data"
    }


def made_and_gone(changes: list[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the addresses of objects that a plan creates or replaces, and of those that it destroys or replaces."""
    managed = [change for change in changes if change["mode"] == "managed"]
    made = {change["address"] for change in managed if "create" in change["change"]["actions"]}
    return made, {change["address"] for change in managed if "delete" in change["change"]["actions"]}

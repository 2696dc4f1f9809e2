"""A stage with an access log and a domain, without a backend: Terraform changes them in an order that AWS takes."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from scripts.local.deployment import terraform_environment
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.targets.interface import Target
    from scripts.local.aws import Aws

pytestmark = pytest.mark.emulator_only

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:none"
"""Nothing is sent, so it need not exist."""
INVOKE_ARN = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
MAIN = f"""
variable "access_log_enabled" {{
  type = bool
}}

variable "certificate_arn" {{
  type = string
}}

variable "domain_name" {{
  type = string
}}

variable "name" {{
  type = string
}}

variable "stage_name" {{
  type = string
}}

module "api" {{
  source = "../../modules/websocket-api"

  name               = var.name
  access_log_enabled = var.access_log_enabled
  routes             = {{ "$default" = {{ integration_uri = "{INVOKE_ARN}" }} }}
  stage_name         = var.stage_name
}}

module "domain" {{
  source = "../../modules/custom-domain"

  api_id          = module.api.api_id
  certificate_arn = var.certificate_arn
  domain_name     = var.domain_name
  stage_name      = module.api.stage_name
}}

output "api_id" {{
  value = module.api.api_id
}}
"""


class StageAlone(Workspace):
    """The configuration above in place of that of an example."""

    def _copy_configuration(self) -> None:
        super()._copy_configuration()
        for name in ("outputs.tf", "variables.tf"):
            (self._working_directory / name).unlink()
        (self._working_directory / "main.tf").write_text(MAIN, encoding="utf-8")


async def test_a_stage_is_renamed_and_leaves_its_log(target: Target, tmp_path: Path) -> None:
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    aws, endpoint, name = target.aws, target.aws.endpoint_url, f"alone-{secrets.token_hex(3)}"
    certificates = aws.session.client("acm", endpoint_url=endpoint)
    given = {
        "certificate_arn": certificates.request_certificate(DomainName=f"{name}.example.com")["CertificateArn"],
        "domain_name": f"{name}.example.com",
        "name": name,
    }
    workspace = StageAlone(
        CONFIGURATION / "examples" / "custom-domain",
        tmp_path,
        environment=terraform_environment(endpoint),
    )

    async def apply(stage_name: str, *, access_log_enabled: bool) -> None:
        workspace.variables = {**given, "stage_name": stage_name, "access_log_enabled": access_log_enabled}
        await asyncio.to_thread(workspace.apply)

    await asyncio.to_thread(workspace.init)
    try:
        await apply("live", access_log_enabled=True)
        assert served(aws, given["domain_name"]) == ["live"]

        await apply("other", access_log_enabled=True)
        assert served(aws, given["domain_name"]) == ["other"]
        assert groups(aws, name) == [f"/aws/apigateway/{name}/other"]

        await apply("other", access_log_enabled=False)
        api_id = (await asyncio.to_thread(workspace.output))["api_id"]["value"]
        assert "AccessLogSettings" not in aws.apigatewayv2.get_stage(ApiId=api_id, StageName="other")
        assert groups(aws, name) == [f"/aws/apigateway/{name}/other"]
        await apply("other", access_log_enabled=False)
        assert groups(aws, name) == []
        assert not (await asyncio.to_thread(workspace.plan)).changes
    finally:
        await asyncio.to_thread(workspace.destroy)


def served(aws: Aws, domain: str) -> list[str]:
    """Return the stages that a domain serves."""
    return [mapping["Stage"] for mapping in aws.apigatewayv2.get_api_mappings(DomainName=domain)["Items"]]


def groups(aws: Aws, name: str) -> list[str]:
    """Return the names of the API's log groups."""
    found = aws.logs.describe_log_groups(logGroupNamePrefix=f"/aws/apigateway/{name}/")["logGroups"]
    return [group["logGroupName"] for group in found]

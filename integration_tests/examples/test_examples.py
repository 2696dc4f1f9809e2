"""Each example is applied, serves two clients of each of its stages, plans no changes and leaves nothing behind.

An override file gives the example what an emulator needs; its own files are those that a team copies.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
import pytest

from integration_tests.harness.crowd import Crowd, expect_everywhere
from scripts.handler_sources import find_sources
from scripts.hcl import read_blocks
from scripts.lambda_zip import zip_bytes
from scripts.local.aws import Aws
from scripts.local.deployment import STAGE_PATH, terraform_environment
from scripts.repository import REPOSITORY
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import Any

    from integration_tests.harness.client import Client
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

EXAMPLES = CONFIGURATION / "examples"
BUCKET = "roomcast-examples"
DOMAIN = "ws.example.com"


@dataclass(frozen=True)
class Stage:
    """A stage of an applied example.

    Attributes:
        aws: Its account and Region.
        api_id: Its API.
        name: Its name.
    """

    aws: Aws
    api_id: str
    name: str

    @property
    def management_endpoint(self) -> str:
        """Base URL of its `@connections`."""
        return f"{self.aws.endpoint_url}{STAGE_PATH.format(api_id=self.api_id, stage_name=self.name)}"

    @property
    def url(self) -> str:
        """Where its clients connect."""
        return self.management_endpoint.replace("http", "ws", 1)


@dataclass(frozen=True)
class Example:
    """An example, and what it is expected to do.

    Attributes:
        stages: Number of its stages.
        variables: Makes the values of its variables, given the account and a scratch directory.
        places: Account and Region of each provider by its alias; none for the target's own.
        more: Looks at what is special in it.
    """

    stages: int = 1
    variables: Callable[[Aws, Path], Mapping[str, Any]] = lambda _aws, _scratch: {}
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    more: Callable[[list[Stage], Client], Awaitable[None]] | None = None


def of_domain(aws: Aws, _scratch: Path) -> Mapping[str, Any]:
    """A certificate and a zone of the account."""
    certificates = aws.session.client("acm", endpoint_url=aws.endpoint_url)
    zones = aws.session.client("route53", endpoint_url=aws.endpoint_url)
    zone = zones.create_hosted_zone(Name="example.com", CallerReference=secrets.token_hex(4))["HostedZone"]["Id"]
    certificate = certificates.request_certificate(DomainName=DOMAIN)["CertificateArn"]
    return {"certificate_arn": certificate, "domain_name": DOMAIN, "zone_id": zone.rpartition("/")[2]}


async def is_reached_through_the_domain(stages: list[Stage], client: Client) -> None:
    """The mapping and the record exist; an emulated host has no name of its own, so nothing connects through it."""
    [stage] = stages
    [mapping] = stage.aws.apigatewayv2.get_api_mappings(DomainName=DOMAIN)["Items"]
    assert (mapping["ApiId"], mapping["Stage"], mapping["ApiMappingKey"]) == (stage.api_id, stage.name, "chat")
    assert stage.aws.apigatewayv2.get_api(ApiId=stage.api_id)["DisableExecuteApiEndpoint"]
    zones = stage.aws.session.client("route53", endpoint_url=stage.aws.endpoint_url)
    [zone] = zones.list_hosted_zones()["HostedZones"]
    records = zones.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    target = stage.aws.apigatewayv2.get_domain_name(DomainName=DOMAIN)["DomainNameConfigurations"][0]
    [record] = [record for record in records if record["Name"].rstrip(".") == DOMAIN]
    assert record["AliasTarget"]["DNSName"].rstrip(".") == target["ApiGatewayDomainName"].rstrip(".")
    assert client.is_open


def of_routes(_aws: Aws, scratch: Path) -> Mapping[str, Any]:
    """The team's zip: its file, and the part of Roomcast's package that it uses."""
    file = EXAMPLES / "custom-routes" / "count.py"
    sources = scratch / "sources"
    sources.mkdir()
    (sources / "roomcast").symlink_to(REPOSITORY / "handlers" / "roomcast")
    (sources / file.name).write_bytes(file.read_bytes())
    zipped = scratch / "count.zip"
    zipped.write_bytes(zip_bytes(find_sources("count", sources)))
    return {"zip": str(zipped)}


async def count_is_answered(_stages: list[Stage], client: Client) -> None:
    """The team's function reads the room and answers."""
    await client.send("count")
    assert await client.receive_json() == {"room": client.room, "members": 2}


async def table_is_their_own(stages: list[Stage], client: Client) -> None:
    """Members are in the table that the example itself has made, and there is no other one."""
    [stage] = stages
    tables = [name for name in stage.aws.dynamodb.list_tables()["TableNames"] if name.startswith(NAME)]
    assert tables == [f"{NAME}-members"]
    assert stage.aws.dynamodb.scan(TableName=tables[0])["Count"] > 0
    assert client.is_open


NAME = f"example-{secrets.token_hex(3)}"
ACCOUNTS = {"america": ("111122223333", "us-west-2"), "europe": ("444455556666", "eu-central-1")}
CASES: Mapping[str, Example] = {
    "complete": Example(),
    "custom-domain": Example(variables=of_domain, more=is_reached_through_the_domain),
    "custom-routes": Example(variables=of_routes, more=count_is_answered),
    "existing-table": Example(more=table_is_their_own),
    "minimal": Example(),
    "multi-account": Example(
        stages=2,
        variables=lambda _aws, _scratch: {"america_profile": "unused", "europe_profile": "unused"},
        places=ACCOUNTS,
    ),
    "two-backends": Example(stages=2),
}
REPRESENTATIVE = "minimal"
"""The example of `make test`; the others are for `make test-long`."""
OF_A_RELEASE = "release-consumer"
"""The example that fetches a release; ``integration_tests/releases`` applies it."""


def test_each_example_has_a_case() -> None:
    assert sorted([*CASES, OF_A_RELEASE]) == sorted(folder.name for folder in EXAMPLES.iterdir())


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == REPRESENTATIVE else pytest.mark.long) for name in CASES]
)
async def test_example(name: str, target: Target, tmp_path: Path) -> None:
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    example, endpoint = CASES[name], target.aws.endpoint_url
    places = [access(endpoint, *place) for place in example.places.values()] or [target.aws]
    target.aws.s3.create_bucket(Bucket=BUCKET)
    workspace = Workspace(
        EXAMPLES / name,
        tmp_path,
        variables={"name": NAME, **example.variables(target.aws, tmp_path)},
        environment=terraform_environment(endpoint),
    )
    await asyncio.to_thread(workspace.init)
    override = override_of(name, endpoint, example.places)
    (workspace.tree / CONFIGURATION.name / "examples" / name / "emulator_override.tf").write_text(override)
    try:
        await asyncio.to_thread(workspace.apply)
        stages = [stage for aws in places for stage in stages_of(aws)]
        assert len(stages) == example.stages
        await two_clients_of_each_talk(stages, example)
        plan = await asyncio.to_thread(workspace.plan)
        assert not plan.changes, plan.text
    finally:
        await asyncio.to_thread(workspace.destroy)
    assert [found for aws in places for found in names_in(aws)] == []


def access(endpoint: str, account: str, region: str) -> Aws:
    """Return access to an account of the emulator, whose access keys are the accounts' numbers."""
    return Aws(boto3.Session(account, "unused", region_name=region), endpoint)


def override_of(name: str, endpoint: str, places: Mapping[str, tuple[str, str]]) -> str:
    """Return the text of the file that gives an example the emulator's endpoints, credentials and bucket."""
    blocks = [block for file in sorted((EXAMPLES / name).glob("*.tf")) for block in read_blocks(file)]
    backends = [
        block.labels[0]
        for block in blocks
        if block.kind == "module" and block.attributes["source"].value.endswith("modules/backend")
    ]
    path_style = "  s3_use_path_style = true\n"
    providers = [
        f'provider "aws" {{\n  alias = "{alias}"\n  access_key = "{account}"\n  secret_key = "unused"\n'
        f'  profile = null\n  region = "{region}"\n{path_style}}}\n'
        for alias, (account, region) in places.items()
    ] or [f'provider "aws" {{\n{path_style}}}\n']
    bucket = "" if places else f'  handlers_bucket = "{BUCKET}"\n'  # other accounts may not read it
    modules = [
        f'module "{backend}" {{\n{bucket}  management_endpoint = "{endpoint}{STAGE_PATH}"\n}}\n' for backend in backends
    ]
    return "\n".join([*providers, *modules])


def stages_of(aws: Aws) -> list[Stage]:
    """Return the stages of the example in an account and Region."""
    return [
        Stage(aws, api["ApiId"], stage["StageName"])
        for api in aws.apigatewayv2.get_apis()["Items"]
        if api["Name"].startswith(NAME)
        for stage in aws.apigatewayv2.get_stages(ApiId=api["ApiId"])["Items"]
    ]


async def two_clients_of_each_talk(stages: list[Stage], example: Example) -> None:
    """Let two clients of each stage hear a message of that stage, and nothing of the others."""
    async with AsyncExitStack() as undo:
        crowds = []
        for stage in stages:
            crowd = Crowd(stage.url)
            undo.push_async_callback(crowd.finish)
            crowds.append(await crowd.join_many("lobby", 2))
        for number, clients in enumerate(crowds):
            await clients[0].say(f"hello world {number}")
            await expect_everywhere(clients, f"hello world {number}")
        if example.more is not None:
            await example.more(stages, crowds[0][0])


def names_in(aws: Aws) -> list[str]:
    """Return the names of everything of the example in an account and Region."""
    iam = aws.session.client("iam", endpoint_url=aws.endpoint_url)
    found = [
        *(api["Name"] for api in aws.apigatewayv2.get_apis()["Items"]),
        *aws.dynamodb.list_tables()["TableNames"],
        *(function["FunctionName"] for function in aws.functions.list_functions()["Functions"]),
        *(group["logGroupName"].rpartition("/")[2] for group in aws.logs.describe_log_groups()["logGroups"]),
        *(url.rpartition("/")[2] for url in aws.sqs.list_queues().get("QueueUrls", [])),
        *(role["RoleName"] for role in iam.list_roles()["Roles"]),
    ]
    return [name for name in found if name.startswith(NAME)]

"""Print the account, Region and endpoint that Terraform is about to change.

``python -m scripts.account`` reads the settings of Terraform's AWS provider: environment variables and the profile in
the shared configuration files. It changes nothing. It exits with 0 even if a setting is missing, because Terraform
then fails with its own message.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from scripts import command
from scripts.loopback import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_SECONDS = 5
"""Short, because these lines only inform; AWS answers within one second."""


def describe(environment: Mapping[str, str]) -> list[str]:
    """Return lines that name the account, Region and endpoint.

    Args:
        environment: This process's environment variables.
    """
    # Terraform's order; boto3 does not read AWS_REGION.
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    try:
        session = boto3.Session(region_name=region)
        region = region or session.region_name
        settings = Config(
            connect_timeout=PATIENCE_SECONDS, read_timeout=PATIENCE_SECONDS, retries={"total_max_attempts": 1}
        )
        # STS of any Region identifies the caller. Without a Region Terraform fails or asks for one.
        sts = session.client("sts", region_name=region or "us-east-1", config=settings)
        endpoint = sts.meta.endpoint_url
    except (BotoCoreError, ValueError) as error:
        return [f"  account    unknown: {error}", f"  Region     {region or 'unknown'}"]
    try:
        identity = sts.get_caller_identity()
        account = f"{identity['Account']} (as {identity['Arn']})"
    except (BotoCoreError, ClientError, ResponseParserError, KeyError) as error:
        account = f"unknown: {error}"
    return [
        f"  account    {account}",
        f"  Region     {region or 'not set: set AWS_REGION'}",
        f"  endpoint   {endpoint}{place(endpoint)}",
        *(f"  endpoint   {name}={value}" for name, value in sorted(environment.items()) if is_of_one_service(name)),
    ]


def place(endpoint: str) -> str:
    """Return a remark if an endpoint is on this machine, else an empty text."""
    host = urlsplit(endpoint).hostname or ""
    return " (on this machine: an emulator, no AWS account)" if host in LOOPBACK else ""


def is_of_one_service(name: str) -> bool:
    """Whether an environment variable sets the endpoint of one service other than STS."""
    return name.startswith("AWS_ENDPOINT_URL_") and name != "AWS_ENDPOINT_URL_STS"


def main() -> int:
    """Print the lines; return the exit status."""
    command.prepare()
    print("Terraform is about to talk to", *describe(os.environ), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Print the account, Region and endpoint that Terraform is about to change.

``python -m scripts.account`` reads the settings of Terraform's AWS provider: environment variables and the profile in
the shared configuration files. It changes nothing. It exits with 0 even if a setting is missing, because Terraform
then fails with its own message.

``python -m scripts.account --same-region`` prints nothing and exits with 0, unless the state of ``terraform/``, which
is initialised, has a backend in another Region, or cannot be read: then it prints a sentence and exits with 2.
Terraform itself refuses another Region in an apply, but only warns of it when it destroys.
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
from scripts.terraform import TerraformError
from scripts.terraform.outputs import applied_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE_SECONDS = 5
"""Short, because these lines only inform; AWS answers within one second."""


def describe(environment: Mapping[str, str]) -> list[str]:
    """Return lines that name the account, Region and endpoint.

    Args:
        environment: This process's environment variables.
    """
    region = named_region(environment)
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


def named_region(environment: Mapping[str, str]) -> str | None:
    """Return the Region that the environment names, in Terraform's order; boto3 does not read AWS_REGION."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")


def other_region(environment: Mapping[str, str]) -> str | None:
    """Return a sentence if the backend in the state of ``terraform/`` is in another Region than the provider's.

    Args:
        environment: This process's environment variables.

    Raises:
        TerraformError: The state cannot be read.
    """
    try:
        region = named_region(environment) or boto3.Session().region_name
    except BotoCoreError:
        return None  # Terraform fails with its own message
    applied = applied_region()
    if not region or applied in {None, region}:
        return None
    return (
        f"the backend in the state is in the Region {applied}, and the environment has the Region {region}, where "
        f"Terraform would find none of its objects but its roles: set AWS_REGION={applied}"
    )


def place(endpoint: str) -> str:
    """Return a remark if an endpoint is on this machine, else an empty text."""
    host = urlsplit(endpoint).hostname or ""
    return " (on this machine: an emulator, no AWS account)" if host in LOOPBACK else ""


def is_of_one_service(name: str) -> bool:
    """Whether an environment variable sets the endpoint of one service other than STS."""
    return name.startswith("AWS_ENDPOINT_URL_") and name != "AWS_ENDPOINT_URL_STS"


def main(arguments: Sequence[str] = ()) -> int:
    """Print the lines, or refuse another Region; return the exit status."""
    command.prepare()
    if arguments:
        try:
            sentence = other_region(os.environ)
        except TerraformError as error:
            sentence = str(error)
        if sentence is not None:
            print(f"account: {sentence}", file=sys.stderr)
        return 0 if sentence is None else 2
    print("Terraform is about to talk to", *describe(os.environ), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Sessions and clients towards AWS or an emulator, the same for every target."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_apigatewaymanagementapi.client import ApiGatewayManagementApiClient
    from types_boto3_apigatewayv2.client import ApiGatewayV2Client
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_logs.client import CloudWatchLogsClient
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient

REGION = "us-east-1"
ACCESS_KEY = "test"
"""Emulators take any key; this one is never a person's."""
LONGEST_INVOCATION = 900
"""Seconds that Lambda lets a function run at most. By default an SDK invokes it a second time after 60."""


@dataclass(frozen=True)
class Aws:
    """Access to the account that holds the stage under test.

    Attributes:
        session: Credentials and region.
        endpoint_url: Where an emulator answers; None for AWS itself, which also honours ``AWS_ENDPOINT_URL``.
    """

    session: boto3.Session
    endpoint_url: str | None = None

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """A DynamoDB client; boto3 clients may be shared between threads."""
        return self.session.client("dynamodb", endpoint_url=self.endpoint_url)

    @cached_property
    def apigatewayv2(self) -> ApiGatewayV2Client:
        """A client of API Gateway's control plane."""
        return self.session.client("apigatewayv2", endpoint_url=self.endpoint_url)

    @cached_property
    def functions(self) -> LambdaClient:
        """A client of Lambda."""
        config = Config(read_timeout=LONGEST_INVOCATION)
        return self.session.client("lambda", endpoint_url=self.endpoint_url, config=config)

    @cached_property
    def s3(self) -> S3Client:
        """An S3 client."""
        return self.session.client("s3", endpoint_url=self.endpoint_url)

    @cached_property
    def sqs(self) -> SQSClient:
        """A client of SQS."""
        return self.session.client("sqs", endpoint_url=self.endpoint_url)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        """A client of CloudWatch's logs."""
        return self.session.client("logs", endpoint_url=self.endpoint_url)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """A client of CloudWatch's metrics."""
        return self.session.client("cloudwatch", endpoint_url=self.endpoint_url)

    def management(self, management_endpoint: str) -> ApiGatewayManagementApiClient:
        """A client of the management API (``@connections``) of one stage."""
        return self.session.client("apigatewaymanagementapi", endpoint_url=management_endpoint)

    def account(self) -> str:
        """Ask AWS for the 12-digit account id."""
        return self.session.client("sts", endpoint_url=self.endpoint_url).get_caller_identity()["Account"]

    @classmethod
    def of_emulator(cls, endpoint_url: str) -> Aws:
        """Return access to an emulator that ignores the AWS profiles, files and settings of this machine."""
        known = botocore.session.Session.SESSION_VARIABLES
        unset: Any = {name: (None, None, default, conversion) for name, (_, _, default, conversion) in known.items()}
        for file in ("config_file", "credentials_file"):
            unset[file] = (None, None, os.devnull, None)
        settings = botocore.session.Session(session_vars=unset)
        session = boto3.Session(
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            region_name=REGION,
            botocore_session=settings,
        )
        return cls(session, endpoint_url)


def emulator_environment(endpoint_url: str) -> dict[str, str]:
    """Return the variables that make boto3, the AWS CLI and Terraform talk to the emulator at ``endpoint_url``."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    }

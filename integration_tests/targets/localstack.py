"""The `localstack` target: a LocalStack that already runs, found as localstack-client finds it."""

from __future__ import annotations

import re
import secrets
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from localstack_client.config import get_service_endpoint

from integration_tests.targets.emulated import Emulated
from integration_tests.targets.interface import Capability, Caveat, TargetError
from scripts.local.aws import Aws
from scripts.local.deployment import EmulatorAccess
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK_NAME = "localhost.localstack.cloud"
"""Resolves to 127.0.0.1 everywhere, and to LocalStack itself inside the containers that it runs functions in."""


class LocalStack(Emulated):
    """A running LocalStack (its WebSocket APIs need a paid plan); the root is applied to it and destroyed again."""

    name = "localstack"
    default_connections = 50

    def __init__(self) -> None:
        super().__init__()
        self.run = f"roomcast-{secrets.token_hex(4)}"  # part of every name, because others may use this LocalStack

    def __enter__(self) -> Self:
        endpoint = get_service_endpoint("apigatewayv2")
        check_health(endpoint)
        self.access = access_of(endpoint, bucket=self.run)
        with ExitStack() as undo:
            self.scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="roomcast-")))
            self.access.create_bucket()
            undo.callback(self.access.delete_bucket)
            instance = undo.enter_context(self.deploy(self.run))
            self.deployment = instance.deployment()
            self.aws = self.access.aws
            self._undo = undo.pop_all()
        return self

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return everything that LocalStack does not show, by its documentation and issues."""
        return LACKS


def check_health(endpoint_url: str) -> None:
    """Make sure that a LocalStack answers.

    Raises:
        TargetError: None answers; the message says how to start one or how to name another endpoint.
    """
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_localstack/health", timeout=scaled(10)):
            return
    except (OSError, urllib.error.URLError) as error:
        raise TargetError(
            f"no LocalStack answers at {endpoint_url} ({error}): start one with `localstack start`, which needs "
            "LOCALSTACK_AUTH_TOKEN, or name its place in LOCALSTACK_HOST or AWS_ENDPOINT_URL"
        ) from error


def access_of(endpoint_url: str, bucket: str) -> EmulatorAccess:
    """Describe a LocalStack to Terraform, to the functions and to clients.

    The WebSocket URL is read from the API, because each API may have a port of its own.
    """
    aws = Aws.of_emulator(endpoint_url)

    def find_websocket_url(api_id: str, stage: str) -> str:
        endpoint = aws.apigatewayv2.get_api(ApiId=api_id)["ApiEndpoint"]
        return f"{re.sub('^http', 'ws', endpoint)}/{stage}"  # some emulators name the scheme http

    return EmulatorAccess(aws, reachable_from_functions(endpoint_url), find_websocket_url, bucket)


def reachable_from_functions(endpoint_url: str) -> str:
    """Return the endpoint by a name that functions' containers resolve too; hosts other than localhost stay."""
    parts = urlsplit(endpoint_url)
    if parts.hostname != "localhost":
        return endpoint_url
    return parts._replace(netloc=f"{LOOPBACK_NAME}:{parts.port or 4566}").geturl()


LACKS: Mapping[Capability | Caveat, str] = {
    Capability.HANDSHAKE_STATUS: "LocalStack has been reported to open the connection even if `$connect` refuses it.",
    Capability.SIZE_LIMITS: "LocalStack is not documented to enforce API Gateway's limits.",
    Caveat.TIME_LIMITS: "LocalStack closes no connection after 10 minutes or 2 hours.",
    Caveat.PERMISSIONS: "LocalStack enforces IAM only when told to, and its form of these ARNs has differed.",
    Capability.DEATHS: "The functions' containers belong to LocalStack.",
    Caveat.QUOTAS: "LocalStack is not documented to have any.",
    Caveat.RUNTIME: "LocalStack runs functions in containers of this machine.",
    Capability.METRICS: "LocalStack fills only some of AWS's metrics.",
    Capability.ACCESS_LOG: "LocalStack is not documented to write any for WebSocket APIs.",
    Caveat.EXPIRY: "LocalStack does not delete expired items at DynamoDB's pace.",
    Caveat.SPEED: "One machine stands for all of AWS.",
}

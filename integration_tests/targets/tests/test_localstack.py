"""The requests to LocalStack and the use of its answers. No LocalStack runs here."""

from __future__ import annotations

import http.server
import os
import threading
from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber

from integration_tests.targets import localstack
from integration_tests.targets.interface import TargetError
from integration_tests.targets.localstack import LocalStack, access_of, check_health, reachable_from_functions
from scripts.local.deployment import AppliedRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Health(http.server.BaseHTTPRequestHandler):
    """Answers as LocalStack does when asked for its health, and nothing else."""

    def do_GET(self) -> None:
        """Answer one request."""
        self.send_response(200 if self.path == "/_localstack/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The endpoint of something that says it is LocalStack."""
    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("api_endpoint", "websocket_url"),
    [
        ("ws://localhost:4510", "ws://localhost:4510/live"),
        ("wss://a1b2c3d4.example.com", "wss://a1b2c3d4.example.com/live"),
        ("http://a1b2c3d4.execute-api.localhost:4566", "ws://a1b2c3d4.execute-api.localhost:4566/live"),
    ],
)
def test_websocket_url_is_read_from_the_api_and_never_built(api_endpoint: str, websocket_url: str) -> None:
    place = access_of("http://localhost:4566", "bucket")

    with Stubber(place.aws.apigatewayv2) as api:
        api.add_response("get_api", {"ApiEndpoint": api_endpoint}, {"ApiId": "a1b2c3d4"})
        assert place.find_websocket_url("a1b2c3d4", "live") == websocket_url
        api.assert_no_pending_responses()


def test_functions_are_given_a_name_that_means_localstack_in_their_container_too(tmp_path: Path) -> None:
    workspace = AppliedRoot(access_of("http://localhost:4566", "bucket"), tmp_path).workspace

    assert workspace.variables == {
        "handlers_bucket": "bucket",
        "management_endpoint": "http://localhost.localstack.cloud:4566/_aws/execute-api/{api_id}/{stage_name}",
    }


@pytest.mark.parametrize(
    ("endpoint_url", "reachable"),
    [
        ("http://localhost", "http://localhost.localstack.cloud:4566"),
        ("http://localhost:4567", "http://localhost.localstack.cloud:4567"),
        ("https://localhost.localstack.cloud:443", "https://localhost.localstack.cloud:443"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("http://build-machine:4566", "http://build-machine:4566"),
    ],
)
def test_only_localhost_is_renamed(endpoint_url: str, reachable: str) -> None:
    assert reachable_from_functions(endpoint_url) == reachable


def test_terraform_sees_the_emulator_and_nothing_of_a_real_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")

    environment = AppliedRoot(access_of("http://localhost:4566", "bucket"), tmp_path).workspace.environment

    assert environment is not None
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://localhost:4566",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def test_profiles_of_the_caller_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")

    assert access_of("http://localhost:4566", "bucket").aws.dynamodb.meta.endpoint_url == "http://localhost:4566"


def test_running_localstack_is_recognised(endpoint: str) -> None:
    check_health(endpoint)


def test_error_says_how_to_start_localstack() -> None:
    with pytest.raises(TargetError, match="start one with `localstack start`"):
        check_health("http://127.0.0.1:9")


def test_endpoint_is_the_one_that_localstack_client_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4999")

    def refuse(endpoint_url: str) -> None:
        asked.append(endpoint_url)
        raise TargetError("stop here")

    monkeypatch.setattr(localstack, "check_health", refuse)

    with pytest.raises(TargetError), LocalStack():
        pass
    assert asked == ["http://127.0.0.1:4999"]

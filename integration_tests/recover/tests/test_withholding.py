"""The proxy that withholds rights."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from integration_tests.recover.withholding import SENTENCE, action_of, withholding

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY = b"Action=CreateRole&RoleName=one"


def signed(service: str, **headers: str) -> dict[str, str]:
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host"
    return {"authorization": scope, **headers}


@pytest.mark.parametrize(
    ("service", "method", "path", "body", "action"),
    [
        ("iam", "POST", "/", QUERY, "iam CreateRole"),
        ("lambda", "POST", "/2015-03-31/functions", b"{}", "lambda POST /functions"),
        ("lambda", "GET", "/2015-03-31/functions/one/policy", b"", "lambda GET /functions/*/policy"),
        ("lambda", "GET", "/2015-03-31/tags/arn%3Aaws%3Alambda", b"", "lambda GET /tags"),
        ("apigateway", "PATCH", "/v2/apis/a1/routes/b2", b"{}", "apigateway PATCH /apis/*/routes/*"),
        ("s3", "PUT", "/bucket/some/key.zip?x-id=PutObject", b"zip", "s3 PUT /object?"),
        ("s3", "GET", "/bucket/key.zip?tagging=", b"", "s3 GET /object?tagging"),
    ],
)
def test_requests_of_a_kind_have_one_name(service: str, method: str, path: str, body: bytes, action: str) -> None:
    assert action_of(method, path, signed(service), body) == action


def test_a_target_names_the_action() -> None:
    headers = signed("dynamodb", **{"x-amz-target": "DynamoDB_20120810.CreateTable"})
    assert action_of("POST", "/", headers, b"{}") == "dynamodb CreateTable"


@contextmanager
def server() -> Iterator[str]:
    """A server that answers every request with the JSON object of the number of requests so far."""
    requests = 0

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            nonlocal requests
            requests += 1
            body = b'{"requests": %d}' % requests
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the base class's name

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http_server.server_address[1]}"
    finally:
        http_server.shutdown()
        http_server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("dynamodb", "list_tables", {}),
        ("iam", "get_role", {"RoleName": "one"}),
        ("lambda", "delete_function", {"FunctionName": "one"}),
        ("s3", "delete_object", {"Bucket": "one", "Key": "two"}),
        ("sqs", "list_queues", {}),
    ],
)
def test_a_client_reads_the_refusal(service: str, call: str, arguments: dict[str, str]) -> None:
    with server() as upstream, withholding(upstream) as rights:
        rights.withhold_once("")
        client = boto3.client(
            service,  # type: ignore[call-overload] # any service
            endpoint_url=rights.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        with pytest.raises(ClientError, match=f"AccessDenied.*{SENTENCE}"):
            getattr(client, call)(**arguments)
        assert len(rights.refused) == 1


def test_the_rest_passes() -> None:
    with server() as upstream, withholding(upstream) as rights:
        rights.withhold("dynamodb CreateTable")
        client = boto3.client(
            "dynamodb",
            endpoint_url=rights.url,
            region_name="us-east-1",
            aws_access_key_id="t",
            aws_secret_access_key="t",
        )
        client.list_tables()
        assert rights.seen == {"dynamodb ListTables"}
        assert rights.refused == []

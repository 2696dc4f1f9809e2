"""One call to an AWS JSON service: what is tried again, what is not, and when it stops."""

from __future__ import annotations

import binascii
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_http, aws_json

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScriptedClient:
    """Answers requests from a script; an exception in the script is raised."""

    def __init__(self, *script: aws_http.Response | Exception) -> None:
        self.script = list(script)
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.waits: list[float] = []

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, deadline: float
    ) -> aws_http.Response:
        """As ``aws_http.Client.request``."""
        self.waits.append(deadline - time.monotonic())
        self.requests.append((method, path, headers, body))
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, body: object, **headers: str) -> aws_http.Response:
    return aws_http.Response(status, headers, json.dumps(body).encode())


def failure(code: str, status: int = 400, **details: object) -> aws_http.Response:
    return answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **details})


def cancelled(*reasons: str) -> aws_http.Response:
    return failure("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


OK = answer(200, {"Item": {}})


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were taken, in seconds, each at its longest."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(random, "random", lambda: 1.0)
    return taken


def call(*script: aws_http.Response | Exception, seconds: float = 60) -> tuple[dict[str, Any], ScriptedClient]:
    service = aws_json.Service("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    client = ScriptedClient(*script)
    service._client = client  # type: ignore[assignment]
    return service.call("GetItem", {"TableName": "t"}, time.monotonic() + seconds), client


def test_a_call_names_its_operation_and_carries_its_parameters() -> None:
    result, client = call(OK)

    assert result == {"Item": {}}
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"}
    assert client.requests == [("POST", "/", headers, b'{"TableName":"t"}')]


@pytest.mark.parametrize(
    "passing",
    [
        aws_http.TransportError("reset", sent=True),
        answer(500, {}),
        answer(503, "not an object"),
        failure("InternalServerError", 500),
        failure("ProvisionedThroughputExceededException"),
        failure("ThrottlingException"),
        failure("TransactionConflictException"),
        cancelled("None", "TransactionConflict"),
        answer(200, {}, **{"x-amz-crc32": "1"}),
        answer(200, {}, **{"x-amz-crc32": "?"}),
        aws_http.Response(200, {}, b'{"Item":'),
    ],
)
def test_what_may_pass_is_tried_again(passing: aws_http.Response | Exception, pauses: list[float]) -> None:
    result, client = call(passing, passing, OK)

    assert result == {"Item": {}}
    assert len(client.requests) == 3
    assert 0 < pauses[0] < pauses[1]


@pytest.mark.parametrize(
    ("final", "code"),
    [
        (failure("ValidationException"), "ValidationException"),
        (failure("AccessDeniedException"), "AccessDeniedException"),
        (failure("ExpiredTokenException"), "ExpiredTokenException"),
        (answer(404, "nonsense"), "status 404"),
        (answer(400, {"__type": 5}), "status 400"),
    ],
)
def test_what_cannot_pass_is_raised_at_once(final: aws_http.Response, code: str, pauses: list[float]) -> None:
    with pytest.raises(aws_json.ServiceError) as raised:
        call(final)

    assert raised.value.code == code
    assert pauses == []


def test_a_condition_that_did_not_hold_is_raised_with_the_reasons() -> None:
    with pytest.raises(aws_json.ServiceError) as raised:
        call(cancelled("None", "ConditionalCheckFailed"))

    assert aws_json.cancellation_reasons(raised.value) == ["None", "ConditionalCheckFailed"]


def test_it_gives_up_after_the_last_attempt() -> None:
    with pytest.raises(aws_json.ServiceError, match="GetItem failed: ThrottlingException"):
        call(*[failure("ThrottlingException")] * aws_json.MAXIMUM_ATTEMPTS)


def test_it_does_not_pause_beyond_the_deadline(pauses: list[float]) -> None:
    with pytest.raises(aws_json.ServiceError):
        call(failure("ThrottlingException"), seconds=0.01)

    assert pauses == []


@pytest.mark.parametrize(("seconds", "longest"), [(60, aws_json.ATTEMPT_SECONDS), (1, 1)])
def test_a_silent_service_is_waited_for_neither_beyond_an_attempts_time_nor_the_deadline(
    seconds: float, longest: float
) -> None:
    _, client = call(OK, seconds=seconds)

    assert longest - 1 < client.waits[0] <= longest


def test_a_checksum_that_matches_is_accepted() -> None:
    body = OK.body
    result, _ = call(aws_http.Response(200, {"x-amz-crc32": str(binascii.crc32(body))}, body))

    assert result == {"Item": {}}

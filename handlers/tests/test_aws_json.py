"""One call to an AWS JSON service: which errors are tried again, which are not, and when tries end."""

from __future__ import annotations

import binascii
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import botocore.parsers
import botocore.session
import pytest
from botocore.retries import standard
from roomcast import addresses, aws_json, backoff, http_parser
from roomcast.steps import drive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast.steps import Steps


class ScriptedClient:
    """Answers requests from a script; an exception in the script is raised."""

    def __init__(self, *script: http_parser.Response | Exception) -> None:
        self.script = list(script)
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.waits: list[float] = []

    def steps(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, deadline: float
    ) -> Steps[http_parser.Response]:
        """As ``aws_http.Client.steps``."""
        yield from ()
        self.waits.append(deadline - time.monotonic())
        self.requests.append((method, path, headers, body))
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, body: object, **headers: str) -> http_parser.Response:
    return http_parser.Response(status, headers, json.dumps(body).encode())


def failure(code: str, status: int = 400, **details: object) -> http_parser.Response:
    return answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **details})


def cancelled(*reasons: str) -> http_parser.Response:
    return failure("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


OK = answer(200, {"Item": {}})


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were taken, in seconds, each at its longest."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(backoff.RANDOM, "random", lambda: 1.0)
    return taken


def call(*script: http_parser.Response | Exception, seconds: float = 60) -> tuple[dict[str, Any], ScriptedClient]:
    service = aws_json.Service("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    client = ScriptedClient(*script)
    service._client = client  # type: ignore[assignment]
    return service.call("GetItem", {"TableName": "t"}, time.monotonic() + seconds), client


def test_a_call_names_its_operation_and_carries_its_parameters() -> None:
    result, client = call(OK)

    assert result == {"Item": {}}
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"}
    assert client.requests == [("POST", "/", headers, b'{"TableName":"t"}')]


LOADER: Any = botocore.session.get_session().get_component("data_loader")
BOTOCORE: Any = standard
SERVICES = ("dynamodb", "sqs")


def by_botocores_code() -> Iterator[tuple[str, int]]:
    """Codes, each with a status, that botocore's standard mode tries again for every service."""
    codes = BOTOCORE.TransientRetryableChecker._TRANSIENT_ERROR_CODES
    yield from ((code, 400) for code in codes + BOTOCORE.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
    statuses = BOTOCORE.TransientRetryableChecker._TRANSIENT_STATUS_CODES
    yield from (("Unheard.Of", status) for status in statuses)


def by_botocores_data() -> Iterator[tuple[str, int]]:
    """Those of its data about DynamoDB and SQS."""
    data = LOADER.load_data("_retry")
    services = [data["retry"]["__default__"], *(data["retry"][service]["__default__"] for service in SERVICES)]
    for policy in itertools.chain.from_iterable(service["policies"].values() for service in services):
        rule = data["definitions"][policy["$ref"]] if "$ref" in policy else policy
        response = rule["applies_when"].get("response", {})
        if "http_status_code" in response:
            yield response.get("service_error_code", "Unheard.Of"), response["http_status_code"]


def by_botocores_models() -> Iterator[tuple[str, int]]:
    """Those that the services' own models call faults or worth another try."""
    models = [LOADER.load_service_model(service, "service-2") for service in SERVICES]
    for name, shape in itertools.chain.from_iterable(model["shapes"].items() for model in models):
        if shape.get("exception") and (shape.get("retryable") or shape.get("fault")):
            yield name, 500 if shape.get("fault") else 400


RETRIED_BY_BOTOCORE = sorted({*by_botocores_code(), *by_botocores_data(), *by_botocores_models()})


@pytest.mark.parametrize(("code", "status"), RETRIED_BY_BOTOCORE)
def test_what_botocore_tries_again_is_tried_again(code: str, status: int) -> None:
    result, client = call(failure(code, status), OK)

    assert result == {"Item": {}}
    assert len(client.requests) == 2


def test_botocore_has_told_its_rules() -> None:
    assert len(RETRIED_BY_BOTOCORE) >= 25


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 509])
@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"{}", b'{"__type": 5}', b"[" * 200_000])
def test_a_status_that_says_come_again_needs_no_body(status: int, body: bytes) -> None:
    result, client = call(http_parser.Response(status, {}, body), OK)

    assert result == {"Item": {}}
    assert len(client.requests) == 2


NAMESPACES = ("", "com.amazonaws.dynamodb.v20120810#", "com.amazon.coral.service#", "com.amazonaws.sqs#")
ADDRESSES = ("", ":", ":http://internal.amazon.com/coral/com.amazon.coral.service/#x")


@pytest.mark.parametrize(("namespace", "address"), list(itertools.product(NAMESPACES, ADDRESSES)))
def test_a_code_is_read_as_botocore_reads_it(namespace: str, address: str) -> None:
    value = f"{namespace}ValidationException{address}"
    json_parser: Any = botocore.parsers.JSONParser()
    rest_parser: Any = botocore.parsers.RestJSONParser()
    for parser, headers, body in (
        (json_parser, {}, {"__type": value}),
        (rest_parser, {"x-amzn-errortype": value}, {}),
        (rest_parser, {"x-amzn-errortype": value}, {"__type": "com.amazonaws#Other"}),
        (rest_parser, {}, {"code": value}),
        (rest_parser, {}, {"Code": value}),
    ):
        text = json.dumps(body).encode()
        parsed = parser.parse({"headers": headers, "status_code": 400, "body": text}, None)
        with pytest.raises(aws_json.ServiceError) as raised:
            call(http_parser.Response(400, headers, text))
        assert raised.value.code == parsed["Error"]["Code"] == "ValidationException"


def test_a_code_of_the_old_query_protocol_counts_too() -> None:
    headers = {"x-amzn-query-error": "KMS.ThrottlingException;Sender"}
    result, _ = call(http_parser.Response(400, headers, b'{"__type": "com.amazonaws.sqs#Unheard.Of"}'), OK)

    assert result == {"Item": {}}


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b"", b"[" * 200_000, b"\xff", b'{"a": ' + b"9" * 5000 + b"}"])
def test_an_answer_that_is_no_object_is_asked_for_again(body: bytes) -> None:
    result, client = call(http_parser.Response(200, {}, body), OK)

    assert result == {"Item": {}}
    assert len(client.requests) == 2


@pytest.mark.parametrize(
    ("reasons", "expected", "is_transient"),
    [
        (None, [], False),
        ([], [], False),
        ("nonsense", [], False),
        ([None], ["None"], True),
        ([{}], ["None"], True),
        ([{"Code": None}], ["None"], True),
        ([{"Code": "TransactionConflict", "Message": "x"}, {"Code": "None"}], ["TransactionConflict", "None"], True),
        ([{"Code": "ThrottlingError"}], ["ThrottlingError"], True),
        ([{"Code": "ProvisionedThroughputExceeded"}], ["ProvisionedThroughputExceeded"], True),
        ([{"Code": "RequestLimitExceeded"}], ["RequestLimitExceeded"], True),
        ([{"Code": "ValidationError"}, {"Code": "None"}], ["ValidationError", "None"], False),
        (
            [{"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}],
            ["ConditionalCheckFailed", "TransactionConflict"],
            False,
        ),
    ],
)
def test_a_cancelled_transaction_is_tried_again_if_its_reasons_may_pass(
    reasons: object, expected: list[str], *, is_transient: bool
) -> None:
    cancelled_so = failure("TransactionCanceledException", CancellationReasons=reasons)
    if is_transient:
        assert call(cancelled_so, OK)[0] == {"Item": {}}
    with pytest.raises(aws_json.ServiceError) as raised:
        call(cancelled_so, seconds=0.001)
    assert raised.value.transient == is_transient
    assert aws_json.cancellation_reasons(raised.value) == expected


def test_what_a_service_says_is_not_repeated() -> None:
    secret = "Tr0ub4dor & 3"
    body = {"__type": f"{secret}:{secret}", "message": secret, "Message": secret, "Item": secret}
    with pytest.raises(aws_json.ServiceError) as raised:
        call(answer(400, body, **{"x-amzn-errortype": secret, "x-amzn-query-error": f"{secret};Sender"}))

    assert secret not in str(raised.value)
    assert raised.value.code == "status 400"


@pytest.mark.parametrize(
    "passing",
    [
        addresses.TransportError("reset", sent=True),
        answer(500, {}),
        answer(503, "not an object"),
        failure("InternalServerError", 500),
        failure("ProvisionedThroughputExceededException"),
        failure("ThrottlingException"),
        failure("TransactionConflictException"),
        cancelled("None", "TransactionConflict"),
        answer(200, {}, **{"x-amz-crc32": "1"}),
        answer(200, {}, **{"x-amz-crc32": "?"}),
        http_parser.Response(200, {}, b'{"Item":'),
    ],
)
def test_what_may_pass_is_tried_again(passing: http_parser.Response | Exception, pauses: list[float]) -> None:
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
def test_what_cannot_pass_is_raised_at_once(final: http_parser.Response, code: str, pauses: list[float]) -> None:
    with pytest.raises(aws_json.ServiceError) as raised:
        call(final)

    assert raised.value.code == code
    assert pauses == []


def test_a_condition_that_did_not_hold_is_raised_with_the_reasons() -> None:
    with pytest.raises(aws_json.ServiceError) as raised:
        call(cancelled("None", "ConditionalCheckFailed"))

    assert aws_json.cancellation_reasons(raised.value) == ["None", "ConditionalCheckFailed"]


@pytest.mark.parametrize(
    ("script", "in_doubt"),
    [
        ([cancelled("None", "ConditionalCheckFailed")], False),
        ([failure("ThrottlingException"), cancelled("ConditionalCheckFailed")], False),
        ([addresses.TransportError("timed out", sent=True), cancelled("ConditionalCheckFailed")], True),
        ([addresses.TransportError("refused", sent=False), cancelled("ConditionalCheckFailed")], False),
        ([failure("InternalServerError", 500), failure("ThrottlingException"), failure("ValidationException")], True),
        ([http_parser.Response(200, {}, b"half"), failure("ValidationException")], True),
        ([answer(200, {}, **{"x-amz-crc32": "1"}), failure("ValidationException")], True),
        ([cancelled("ConditionalCheckFailed")._replace(resent=True)], True),
        ([failure("ThrottlingException")._replace(resent=True), failure("ValidationException")], True),
    ],
)
def test_an_attempt_without_a_refusal_leaves_doubt(
    script: list[http_parser.Response | Exception], in_doubt: bool
) -> None:
    with pytest.raises(aws_json.ServiceError) as error:
        call(*script)
    assert error.value.in_doubt is in_doubt


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


def get_all(*answers: dict[str, Any]) -> tuple[list[Mapping[str, Any]], list[Any]]:
    """Read two items; gives what was found, and the keys that each request asked for."""
    service = aws_json.Service("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    client = ScriptedClient(*(answer(200, each) for each in answers))
    service._client = client  # type: ignore[assignment]
    keys = [{"id": {"S": name}} for name in "ab"]
    found = drive(aws_json.get_all(service, "t", keys, time.monotonic() + 60, strongly=True))
    return found, [json.loads(body)["RequestItems"]["t"]["Keys"] for *_, body in client.requests]


ITEMS = [{"id": {"S": name}, "n": {"N": "1"}} for name in "ab"]
REST = {"t": {"Keys": [{"id": {"S": "b"}}], "ConsistentRead": True}}


def test_keys_that_were_not_processed_are_asked_for_again() -> None:
    found, asked = get_all(
        {"Responses": {"t": ITEMS[:1]}, "UnprocessedKeys": REST}, {"Responses": {"t": ITEMS[1:]}, "UnprocessedKeys": {}}
    )

    assert found == ITEMS
    assert asked == [[{"id": {"S": "a"}}, {"id": {"S": "b"}}], [{"id": {"S": "b"}}]]


def test_items_that_could_not_be_read_in_time_are_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_json, "pause_seconds", lambda _: 120.0)
    with pytest.raises(aws_json.ServiceError) as raised:
        get_all({"Responses": {"t": ITEMS[:1]}, "UnprocessedKeys": REST})

    assert (raised.value.code, raised.value.transient) == ("UnprocessedKeys", True)


def test_a_checksum_that_matches_is_accepted() -> None:
    body = OK.body
    result, _ = call(http_parser.Response(200, {"x-amz-crc32": str(binascii.crc32(body))}, body))

    assert result == {"Item": {}}

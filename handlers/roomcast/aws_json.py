"""The AWS JSON protocols over signed HTTP: calls an operation, with botocore's rules for another try.

boto3 would add 0.3 s of CPU to every cold start, and takes three times the CPU per item read.
https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
"""

from __future__ import annotations

import binascii
import itertools
import json
import re
import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_http, logs
from roomcast.addresses import TransportError
from roomcast.backoff import RANDOM, backoff_seconds
from roomcast.steps import Wait, drive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast.http_parser import Response
    from roomcast.steps import Steps

MAXIMUM_ATTEMPTS = 10
"""As botocore for DynamoDB in its default retry mode."""

ATTEMPT_SECONDS = 3.0
"""How long an answer may take before the call is tried again; DynamoDB answers within hundredths of a second."""

BACKOFF_BASE_SECONDS = 0.05
"""Upper end of the first pause, as botocore's for DynamoDB: a few times as long as an answer takes."""

BACKOFF_CAP_SECONDS = 2.0
"""Upper end of every pause: with longer ones, a client that waits for its answer would see only a few tries."""

TRANSIENT_ERRORS = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "InternalFailure",
        "InternalServerError",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Codes of transient errors: those that botocore's standard mode tries again, and the services' own."""

TRANSIENT_STATUSES = frozenset({408, 429})
"""Statuses of transient errors, besides all from 500 on."""

TRANSIENT_REASONS = TRANSIENT_ERRORS | {
    "None",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
}
"""Transient reasons in a cancelled transaction."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", re.ASCII)


class ServiceError(Exception):
    """A call failed: the service refused it, or it went on failing for as long as time allowed.

    Args:
        operation: Name of the operation, for example ``Query``.
        code: The service's error code, or the error of the transport.
        details: The service's answer, if it was one.
        transient: Whether another try may go through.
        in_doubt: Whether an attempt may have been carried out, or may be later: this one, or one before it.
    """

    def __init__(
        self, operation: str, code: str, details: Mapping[str, Any], *, transient: bool, in_doubt: bool = False
    ) -> None:
        super().__init__(f"{operation} failed: {code}")
        self.code = code
        self.details = details
        self.transient = transient
        self.in_doubt = in_doubt

    @property
    def is_unavailable(self) -> bool:
        """Whether the service refused the call, throttled it or was down; a condition that does not hold is neither."""
        failed = "ConditionalCheckFailed"
        return self.code != f"{failed}Exception" and failed not in cancellation_reasons(self)


def tell(level: str, message: str, error: ServiceError, **fields: object) -> None:
    """Log that a call of the table or of the queue failed for good; arguments as of ``logs.write``."""
    logs.write(level, message, {"unavailable": int(error.is_unavailable)}, error=str(error), **fields)


class Service:
    """A service in one Region.

    Args:
        endpoint_url: Base URL, for example ``https://dynamodb.eu-west-1.amazonaws.com``.
        name: Name that requests are signed for, for example ``dynamodb``.
        target: Prefix of ``x-amz-target``, for example ``DynamoDB_20120810``.
        region: Region that requests are signed for.
        attempt_seconds: How long an answer may take before the call is tried again.

    Attributes:
        content_type: Says which version of the protocol the service speaks.
    """

    content_type = "application/x-amz-json-1.0"

    def __init__(
        self, endpoint_url: str, name: str, target: str, region: str, attempt_seconds: float = ATTEMPT_SECONDS
    ) -> None:
        self._client = aws_http.Client(endpoint_url, name, region)
        self._target = target
        self._attempt_seconds = attempt_seconds
        self._made_of = (endpoint_url, name, target, region, attempt_seconds)

    def another(self) -> Service:
        """The same service with a connection of its own, for another thread."""
        return Service(*self._made_of)

    def close(self) -> None:
        """Close the connection that is kept for the next call."""
        self._client.close()

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Call an operation and wait for its answer.

        Throttling, server errors, broken connections, damaged answers and those that take longer than
        ``attempt_seconds`` are tried again with full jitter, up to ``MAXIMUM_ATTEMPTS`` times, not beyond the deadline
        (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html).

        Args:
            operation: Name of the operation, for example ``GetItem``.
            parameters: Its parameters.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            ServiceError: The call failed for good.
        """
        return drive(self.steps(operation, parameters, deadline))

    def steps(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> Steps[dict[str, Any]]:
        """As ``call``, for a loop that waits."""
        body = json.dumps(parameters, separators=(",", ":")).encode()
        headers = {"content-type": self.content_type, "x-amz-target": f"{self._target}.{operation}"}
        in_doubt = False
        for attempt in itertools.count(1):
            try:
                return (yield from self._attempt(operation, headers, body, deadline))
            except ServiceError as error:
                in_doubt = error.in_doubt = in_doubt or error.in_doubt
                again_at = time.monotonic() + pause_seconds(attempt)
                if not error.transient or attempt == MAXIMUM_ATTEMPTS or again_at >= deadline:
                    raise
            yield Wait(None, again_at)
        raise AssertionError("the loop ends by returning or raising")

    def _attempt(
        self, operation: str, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> Steps[dict[str, Any]]:
        try:
            give_up_at = min(deadline, time.monotonic() + self._attempt_seconds)
            response = yield from self._client.steps("POST", "/", headers, body, deadline=give_up_at)
        except TransportError as error:
            raise ServiceError(operation, str(error), {}, transient=True, in_doubt=error.sent) from error
        # DynamoDB sends a checksum of the body.
        checksum = response.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(binascii.crc32(response.body)):
            raise ServiceError(operation, "the answer does not match its checksum", {}, transient=True, in_doubt=True)
        answer = _parsed(response.body)
        if response.status != 200:
            raise _error(operation, response, answer or {})
        if answer is None:
            raise ServiceError(operation, "the answer is not a JSON object", {}, transient=True, in_doubt=True)
        return answer


def pages(database: Service, query: dict[str, Any], deadline: float) -> Iterator[Mapping[str, Any]]:
    """Yield the pages of a DynamoDB query's answer, of which an empty one may still be followed by others.

    Args:
        database: DynamoDB.
        query: Parameters of the query, which are changed.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    while True:
        page = database.call("Query", query, deadline)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def get_all(
    database: Service, table_name: str, keys: Sequence[Mapping[str, Any]], deadline: float, *, strongly: bool
) -> Steps[list[Mapping[str, Any]]]:
    """Read up to a hundred items of DynamoDB; those that do not exist are left out.

    Args:
        database: DynamoDB.
        table_name: Name of the table.
        keys: Their keys; without any, DynamoDB, which refuses such a question, is not asked.
        deadline: Latest end, in seconds of ``time.monotonic``.
        strongly: Whether each write that has ended is seen; else the read costs half.

    Raises:
        ServiceError: The table did not answer in time.
    """
    found: list[Mapping[str, Any]] = []
    asked: Mapping[str, Any] = {table_name: {"Keys": keys, "ConsistentRead": strongly}} if keys else {}
    attempt = 0
    while asked:
        answer = yield from database.steps("BatchGetItem", {"RequestItems": asked}, deadline)
        found += answer["Responses"].get(table_name, [])
        asked = answer.get("UnprocessedKeys") or {}
        attempt += 1
        if asked:
            again_at = time.monotonic() + pause_seconds(attempt)
            if again_at >= deadline:
                raise ServiceError("BatchGetItem", "UnprocessedKeys", {}, transient=True)
            yield Wait(None, again_at)
    return found


def pause_seconds(attempt: int) -> float:
    """Seconds before the next try, with full jitter, after so many failed ones (from 1)."""
    return backoff_seconds(attempt, base=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, random=RANDOM.random)


def pause(attempt: int, deadline: float) -> bool:
    """Wait before the next try; false, at once, when that would be beyond the deadline.

    Args:
        attempt: How many tries have failed, from 1.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    seconds = pause_seconds(attempt)
    if time.monotonic() + seconds >= deadline:
        return False
    time.sleep(seconds)
    return True


def cancellation_reasons(error: ServiceError) -> list[str]:
    """Reason of each action of a cancelled DynamoDB transaction, in order; ``None`` for an action without a fault."""
    reasons = error.details.get("CancellationReasons")
    if not isinstance(reasons, list):
        return []
    return [str(reason.get("Code") or None) if isinstance(reason, dict) else "None" for reason in reasons]


def cancellation_items(error: ServiceError) -> list[Mapping[str, Any]]:
    """The item of each action of a cancelled DynamoDB transaction that asked for it; empty where there is none."""
    reasons = error.details.get("CancellationReasons")
    if not isinstance(reasons, list):
        return []
    items = [reason.get("Item") if isinstance(reason, dict) else None for reason in reasons]
    return [item if isinstance(item, dict) else {} for item in items]


def _parsed(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body holds, if it holds one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _error(operation: str, response: Response, details: Mapping[str, Any]) -> ServiceError:
    codes = _codes(response, details)
    transient = (
        response.status >= 500 or response.status in TRANSIENT_STATUSES or not TRANSIENT_ERRORS.isdisjoint(codes)
    )
    code = codes[0] if codes else f"status {response.status}"
    # The first copy of a request that went twice may have been carried out.
    in_doubt = response.status >= 500 or response.resent
    error = ServiceError(operation, code, details, transient=transient, in_doubt=in_doubt)
    # Another try makes sense only if each action of the transaction failed for a transient reason, or for none.
    if error.code == "TransactionCanceledException":
        reasons = cancellation_reasons(error)
        error.transient = bool(reasons) and TRANSIENT_REASONS.issuperset(reasons)
    return error


def _codes(response: Response, details: Mapping[str, Any]) -> list[str]:
    """The error's codes, wherever services put them: ``namespace#Code:address`` is one, too.

    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
    """
    query_error = response.headers.get("x-amzn-query-error", "").partition(";")[0]
    places = (response.headers.get("x-amzn-errortype"), *map(details.get, ("__type", "code", "Code")), query_error)
    codes = (place.partition(":")[0].rpartition("#")[2].strip() for place in places if isinstance(place, str))
    # Other text is dropped: codes are logged, and the text may repeat a client's input.
    return [code for code in codes if _CODE.fullmatch(code)]

"""Credentials of the function's role, as of now: from the environment, or from the endpoint that it names.

A function that begins from a snapshot (SnapStart) has no credentials in its environment, because they could expire
before it is restored, but the address of an endpoint that gives some, and a token for it
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html). They expire; the endpoint is asked
again before that.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import logs
from roomcast.addresses import Endpoint, TransportError
from roomcast.http_client import HttpClient
from roomcast.signing import Credentials
from roomcast.steps import drive

if TYPE_CHECKING:
    from roomcast.http_parser import Response

ADDRESS = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the variable's name

HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
"""Hosts that may be asked without TLS, as in AWS SDKs: this machine, and the endpoints of ECS and EKS. The token would
be in plain text on the way to another one, whose answer could not be trusted either."""

EARLY_SECONDS = 600.0
"""How long before their end credentials are read again: a request that is signed late in an invocation must still be
taken."""

RETRY_SECONDS = 10.0
"""Shortest time between two reads while there are credentials that are good: an endpoint that hangs must not hold up
each call."""

TRIES = 2
TRY_SECONDS = 1.0
"""The endpoint is on this machine, and answers within thousandths of a second. Every call to AWS waits for it."""


NONE_GIVEN = "no credentials: the endpoint's answer holds none"


class _Held(NamedTuple):
    """Credentials that were read.

    Attributes:
        credentials: The credentials.
        ends_at: When they expire, in seconds since 1970.
        again_at: When to read others, likewise.
    """

    credentials: Credentials
    ends_at: float
    again_at: float


class Container:
    """The endpoint's credentials, kept until shortly before they expire."""

    def __init__(self) -> None:
        self._held: _Held | None = None

    def current(self, deadline: float) -> Credentials:
        """Give credentials that are good now; raises as the function of this name."""
        # The wall clock, because it says when they expire, also if the process was frozen meanwhile.
        now = time.time()
        held = self._held
        if held is None or now >= held.again_at:
            held = self._held = self._read(held, now, deadline)
        return held.credentials

    @staticmethod
    def _read(held: _Held | None, now: float, deadline: float) -> _Held:
        try:
            credentials, ends_at = _parsed(_asked(deadline), now)
        except TransportError as error:
            if held is None or now >= held.ends_at:
                raise
            logs.write("WARNING", "credentials are not renewed", error=str(error))
            return held._replace(again_at=min(now + RETRY_SECONDS, held.ends_at))
        again_at = max(ends_at - EARLY_SECONDS, now + RETRY_SECONDS)
        return _Held(credentials, ends_at, min(again_at, ends_at))


_container = Container()


def current(deadline: float) -> Credentials:
    """Give the credentials of this moment: Lambda may replace them while an environment is warm.

    Args:
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        KeyError: The environment holds neither credentials nor an endpoint.
        ValueError: The endpoint's address or token is not one.
        TransportError: The endpoint gave no credentials.
    """
    # The environment comes first, as in AWS SDKs.
    if os.environ.get("AWS_ACCESS_KEY_ID") or not os.environ.get(ADDRESS):
        return Credentials.from_environment()
    return _container.current(deadline)


def _asked(deadline: float) -> Response:
    """Ask the endpoint; a second time if it does not answer, or has trouble."""
    endpoint = _endpoint()
    token = os.environ.get(TOKEN, "")
    if not (token.isascii() and token.isprintable()):
        raise ValueError(f"{TOKEN} holds characters that no header may have")
    authorization = f"Authorization: {token}\r\n" if token else ""
    head = f"GET {endpoint.path or '/'} HTTP/1.1\r\nHost: {endpoint.host_header}\r\nAccept: application/json\r\n"
    request = f"{head}{authorization}\r\n".encode()
    for number in range(1, TRIES + 1):
        client = HttpClient(endpoint)
        try:
            answer = drive(client.exchange(request, min(deadline, time.monotonic() + TRY_SECONDS)))
        except TransportError as error:
            if number == TRIES or time.monotonic() >= deadline:
                raise TransportError(f"no credentials: {error}", sent=False) from error
        else:
            if answer.status < 500 or number == TRIES:
                return answer
        finally:
            client.close()
    raise AssertionError("the loop ends by returning or raising")


def _endpoint() -> Endpoint:
    try:
        endpoint = Endpoint(os.environ[ADDRESS])
    except ValueError:
        raise ValueError(f"{ADDRESS} is not a URL of the form http://host[:port]/path") from None
    if not endpoint.tls and endpoint.host.lower() not in HOSTS:
        raise ValueError(f"{ADDRESS} names a host that may not be asked over http: {endpoint.host}")
    return endpoint


def _parsed(answer: Response, now: float) -> tuple[Credentials, float]:
    """Read an answer; no message holds a part of it, which may be a secret."""
    if answer.status != 200:
        raise TransportError(f"no credentials: the endpoint answered with status {answer.status}", sent=False)
    try:
        fields = json.loads(answer.body)
        given = Credentials(fields["AccessKeyId"], fields["SecretAccessKey"], fields["Token"])
        ends_at = _seconds(fields["Expiration"])
        is_good = all(each.isascii() and each.isprintable() for each in given if each is not None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TransportError(NONE_GIVEN, sent=False) from None
    if not (is_good and given.access_key_id and given.secret_access_key):
        raise TransportError(NONE_GIVEN, sent=False)
    if ends_at <= now:
        raise TransportError("no credentials: those that the endpoint gave have expired", sent=False)
    return given._replace(session_token=given.session_token or None), ends_at


def _seconds(text: str) -> float:
    """A moment as ISO 8601 writes it, in seconds since 1970."""
    # Where credentials are in the environment, no cold start waits for this import.
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(text).timestamp()

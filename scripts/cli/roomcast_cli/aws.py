"""AWS as commands call it: sessions, clients, and what a refusal or a missing answer means for the user."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import threading
from importlib import util
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from roomcast_cli.output import NOT_ALLOWED, NOT_FOUND, NOT_REACHABLE, WRONG_USAGE, CommandError

TRIES = 3
CONNECT_SECONDS = 3.0
"""With three tries, a service that cannot be reached is told within some 10 s."""

READ_SECONDS = 20.0
"""Longer than any answer takes but that of a function, which has a time of its own."""

THROTTLED = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|LimitExceeded|SlowDown|ServiceUnavailable")
REFUSED = re.compile(r"AccessDenied|Unauthorized(?:Operation|Access)?$|AuthorizationError|NotAuthorized")
EXPIRED = re.compile(r"Expired")
UNKNOWN = re.compile(r"InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|Signature")
MISSING = re.compile(r"ResourceNotFound|QueueDoesNotExist|NonExistentQueue|NoSuch")
SENTENCE = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<what>\S+))?"
)
OPERATING = ("lambda:", "dynamodb:DeleteItem", "sqs:StartMessageMoveTask")
"""Actions of which ``roomcast policy operate`` tells."""


@functools.cache
def session_of(profile: str | None) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return the session of a profile, which has read the descriptions of services once for all of its clients."""
    import botocore.session  # noqa: PLC0415 - the caller has looked for it

    return botocore.session.Session(profile=profile)


class Account(NamedTuple):
    """Credentials and Region; the AWS CLI's rules say which.

    Attributes:
        region: A Region, if one was given.
        profile: Name of a profile, if one was given.
    """

    region: str | None = None
    profile: str | None = None

    def client(self, service: str, *, seconds: float = READ_SECONDS, endpoint_url: str | None = None) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
        """Return a client of a service.

        Args:
            service: Name of the service, as of the AWS CLI.
            seconds: How long an answer may take.
            endpoint_url: Base URL; None for AWS's own, or that of the environment.

        Raises:
            CommandError: botocore is missing, or no Region is known.
        """
        if util.find_spec("botocore") is None:
            raise CommandError("the package botocore is missing; install roomcast[operate]", WRONG_USAGE)
        # Only here, because it takes longer than all that other commands do.
        import botocore.config  # noqa: PLC0415

        # A connection that AWS has closed must not end the process. Only the main thread may say so.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        session = session_of(self.profile)
        region = self.region or session.get_config_variable("region") or os.environ.get("AWS_REGION")
        if not region:
            raise CommandError("no Region is chosen; name one by --region or AWS_REGION", WRONG_USAGE)
        config = botocore.config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=seconds,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            user_agent_extra="roomcast",
        )
        return session.create_client(service, region_name=region, config=config, endpoint_url=endpoint_url)

    def names(self) -> tuple[str, str]:
        """Return the account's id and the Region's name; either may be unknown."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - `client` has looked for it

        sts = self.client("sts")
        try:
            return sts.get_caller_identity()["Account"], sts.meta.region_name
        except (BotoCoreError, ClientError):
            return "", sts.meta.region_name


def explained(error: Exception, profile: str | None = None) -> CommandError | None:  # noqa: PLR0911 - a sentence each
    """Return the sentence and the exit status for an error of botocore; None for any other error.

    Args:
        error: What was raised.
        profile: The profile that was given on the command line.
    """
    if "botocore" not in sys.modules:
        return None
    from botocore import exceptions  # noqa: PLC0415 - it has been loaded

    if isinstance(error, exceptions.ClientError):
        return _of_service(error, profile)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return CommandError("no AWS credentials found; set AWS_PROFILE, or run `aws sso login`", NOT_ALLOWED)
    if isinstance(error, exceptions.ProfileNotFound):
        return CommandError(f"{str(error)[:1].lower()}{str(error)[1:]}", NOT_ALLOWED)
    if isinstance(
        error,
        exceptions.UnauthorizedSSOTokenError | exceptions.SSOTokenLoadError | exceptions.TokenRetrievalError,
    ):
        return _expired(profile)
    if isinstance(error, exceptions.CredentialRetrievalError):
        return CommandError(f"the credentials could not be read: {error}", NOT_ALLOWED)
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return _of_connection(error)
    if isinstance(error, exceptions.InvalidRegionError | exceptions.ParamValidationError):
        return CommandError(str(error).strip().rstrip("."), WRONG_USAGE)
    if isinstance(error, exceptions.BotoCoreError):
        return CommandError(str(error), NOT_REACHABLE)
    return None


def _of_connection(error: Any) -> CommandError:  # noqa: ANN401 - botocore's ConnectionError or HTTPClientError
    from botocore import exceptions  # noqa: PLC0415 - it has been loaded

    if isinstance(error, exceptions.ProxyConnectionError):
        return CommandError(f"the proxy {error.kwargs.get('proxy_url', '')} cannot be used", NOT_REACHABLE)
    host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).netloc or "AWS"
    if isinstance(error, exceptions.SSLError):
        reason = str(error.kwargs.get("error"))
        remedy = "; AWS_CA_BUNDLE names a file of authorities" if "CERTIFICATE_VERIFY_FAILED" in reason else ""
        return CommandError(f"there is no TLS connection to {host}: {reason}{remedy}", NOT_REACHABLE)
    return CommandError(f"{host} does not answer ({TRIES} tries)", NOT_REACHABLE)


def _of_service(error: Any, profile: str | None) -> CommandError:  # noqa: ANN401 - botocore's ClientError
    code, message = str(error.response["Error"].get("Code", "")), str(error.response["Error"].get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if EXPIRED.search(code):
        return _expired(profile)
    if UNKNOWN.search(code):
        return CommandError("AWS does not know these credentials; set AWS_PROFILE, or run `aws sso login`", NOT_ALLOWED)
    if REFUSED.search(code) or status == 403:
        return CommandError(_refusal(error.operation_name, message), NOT_ALLOWED)
    if MISSING.search(code) or status == 404:
        return CommandError(f"{error.operation_name}: {message or code}", NOT_FOUND)
    if THROTTLED.search(code) or status in {408, 429} or status >= 500:
        return CommandError(f"AWS throttles or fails ({error.operation_name}: {code}); try again", NOT_REACHABLE)
    return CommandError(f"{error.operation_name}: {code}: {message}", NOT_REACHABLE)


def _expired(profile: str | None) -> CommandError:
    name = profile or os.environ.get("AWS_PROFILE")
    of, option = (f" of profile {name}", f" --profile {name}") if name else ("", "")
    return CommandError(f"the credentials{of} have expired; run `aws sso login{option}`", NOT_ALLOWED)


def _refusal(operation: str, message: str) -> str:
    found = SENTENCE.search(message)
    if found is None:
        return f"AWS refuses {operation}: {message or 'no reason'}; `roomcast policy read` prints what is needed"
    on = f" on {found['what']}" if found["what"] else ""
    kind = "operate" if found["action"].startswith(OPERATING) else "read"
    return f"{found['who']} may not {found['action']}{on}; `roomcast policy {kind}` prints what these commands need"

"""The shared secret that tokens are signed with, from AWS Secrets Manager."""

from __future__ import annotations

import base64
import contextlib
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from roomcast import logs, settings
from roomcast.aws_json import Service, ServiceError
from roomcast.kept import Kept, ReadError, UnavailableError
from roomcast.signing_keys import Key
from roomcast.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_SECONDS = 3.0
"""For both stages, repeated attempts included: a client waits in its handshake for so long."""

ATTEMPT_SECONDS = 1.0
"""Secrets Manager answers within tenths of a second: this leaves time for another try."""

MINIMUM_BYTES = 32
"""As long as the digest: with a shorter one, guessing it offline gets easier (RFC 7518, section 3.2)."""

_ARN = re.compile(r"arn:[a-z0-9-]+:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[!-~]+", re.ASCII)


class _SecretsManager(Service):
    content_type = "application/x-amz-json-1.1"


class Previous(NamedTuple):
    """The last version of a secret: its key, or none, which is a value to be kept as well."""

    keys: Sequence[Key]


class SecretKey:
    """A secret with its last two versions, so that it can be rotated.

    Args:
        arn: The secret's ARN; it may lie in another Region or account.
        dns_suffix: Ends the host names of AWS services.
        stale_seconds: How long after it was read the secret may be used while it cannot be read again.

    Raises:
        ValueError: This is no ARN of a secret.
    """

    def __init__(self, arn: str, dns_suffix: str, stale_seconds: float) -> None:
        match = _ARN.fullmatch(arn)
        if match is None:
            raise ValueError("ROOMCAST_JWT_SECRET_ARN is no ARN of a secret in Secrets Manager")
        self._arn = arn
        endpoint = settings.endpoint("secretsmanager", match[1], dns_suffix, "SECRETS_MANAGER")
        self._service = _SecretsManager(endpoint, "secretsmanager", "secretsmanager", match[1], ATTEMPT_SECONDS)
        # Apart, because a last version that cannot be read, as after a change of the secret's key, takes nothing from
        # the current one.
        self._current: Kept[Key] = Kept(self._read_current, stale_seconds)
        self._previous: Kept[Previous] = Kept(self._read_previous, stale_seconds, is_needed=False)

    def find(self, _key_id: str | None, deadline: float) -> Sequence[Key]:
        """The secret's versions, the current one first; which key a token names does not matter.

        A last version that cannot be read is tried again after a minute. If that is so at a rotation, tokens that are
        signed with it are refused until then.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            UnavailableError: There is no secret, or it breaks a rule.
        """
        latest = min(deadline, time.monotonic() + READ_SECONDS)
        try:
            current = self._current.get(latest)
            with contextlib.suppress(UnavailableError):  # Its reader has logged why.
                return [current, *self._previous.get(latest).keys]
            return [current]
        finally:
            # The next call is minutes away.
            self._service.close()

    def _read_current(self, deadline: float) -> Key:
        current = self._version("AWSCURRENT", deadline)
        if current is None:
            raise ReadError("the secret has no value")
        return current

    def _read_previous(self, deadline: float) -> Previous:
        try:
            previous = self._version("AWSPREVIOUS", deadline)
        except _RuleError as error:
            # It may have been replaced for that reason.
            logs.write("WARNING", "previous_secret_ignored", error=str(error))
            previous = None
        return Previous(() if previous is None else (previous,))

    def _version(self, stage: str, deadline: float) -> Key | None:
        """The key of a stage; ``None`` if the secret has no such stage.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        """
        try:
            answer = self._service.call("GetSecretValue", {"SecretId": self._arn, "VersionStage": stage}, deadline)
        except ServiceError as error:
            if error.code == "ResourceNotFoundException":
                return None
            # A code of AWS or of the transport, never a value.
            raise ReadError(str(error)) from error
        text, binary = answer.get("SecretString"), answer.get("SecretBinary")
        try:
            value = text.encode() if isinstance(text, str) else base64.b64decode(str(binary or ""), validate=True)
        except ValueError as error:
            raise _RuleError("the secret is neither UTF-8 nor Base64") from error
        _check(value)
        return Key("HS256", value)


class _RuleError(ReadError):
    """A version of the secret breaks a rule."""


def _check(value: bytes) -> None:
    if len(value) < MINIMUM_BYTES:
        raise _RuleError(f"the secret has fewer than {MINIMUM_BYTES} bytes")
    if _is_json_object(value):
        raise _RuleError("the secret is a JSON object, as the console makes by default; store the bare key")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(value)
    except InvalidKeyError:
        raise _RuleError("the secret looks like a public key, which is no secret") from None


def _is_json_object(value: bytes) -> bool:
    try:
        parse_object(value)
    except (ValueError, RecursionError):
        return False
    return True

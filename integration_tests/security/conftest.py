"""Instances of the root that only clients with a token may connect to, applied once per session."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.crowd import Crowd
from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.security.key_endpoint import KeyEndpoint
from integration_tests.security.keys import EcKey, RsaKey
from integration_tests.security.minting import AUDIENCE, ISSUER, token
from scripts.local.minting import SharedSecret
from scripts.waiting import result_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from concurrent.futures import Future

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

ISSUED = {"authorization_type": "JWT", "jwt_issuer": [ISSUER], "jwt_audience": [AUDIENCE]}
SECRET_BYTES = 48
PRESENCE_ROOM = f"{ROOM_PREFIX}seen-"
"""Begins the names of rooms that tell who comes and goes, in the instance with public keys."""
RATE = 1
"""Messages per second of a connection to the instance with limits: fewer than the slowest machine serves."""
MEMBERS = 4
"""Members that a room of the instance with limits may have."""


@dataclass
class Guarded:
    """An instance that wants tokens.

    Attributes:
        deployment: The instance.
        rsa: A key that signs tokens it accepts.
        ec: Another such key.
        endpoint: Serves both keys.
    """

    deployment: Deployment
    rsa: RsaKey
    ec: EcKey
    endpoint: KeyEndpoint

    @property
    def url(self) -> str:
        """The stage's WebSocket URL."""
        return self.deployment.websocket_url

    def token(self, **changes: Any) -> str:  # noqa: ANN401 - any claim
        """Return a token that is valid for all rooms, but for some changes of its claims."""
        return token(self.rsa, **changes)


@dataclass
class GuardedBySecret:
    """An instance with limits and tokens signed with a shared secret; it looks for them in the header alone.

    Attributes:
        deployment: The instance.
        key: The secret.
    """

    deployment: Deployment
    key: SharedSecret


@pytest.fixture(scope="session")
def keys() -> tuple[RsaKey, EcKey]:
    """The keys that tokens are signed with."""
    return RsaKey("rsa"), EcKey("ec")


@pytest.fixture(scope="session")
def endpoint(keys: tuple[RsaKey, EcKey]) -> Iterator[KeyEndpoint]:
    """The endpoint that serves those keys."""
    with KeyEndpoint([key.jwk() for key in keys]).running() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def shared_secret() -> bytes:
    """The secret of the instance that verifies with one."""
    return secrets.token_bytes(SECRET_BYTES)


@pytest.fixture(scope="session")
def with_backends(target: Target, shared_secret: bytes) -> GuardedBySecret:
    """An instance with functions for backends; some of its rooms keep messages."""
    assert target.aws is not None
    secret_manager = target.aws.session.client("secretsmanager", endpoint_url=target.aws.endpoint_url)
    name = f"signing-{secrets.token_hex(3)}"
    deployment = target.deploy_to_stay(
        f"backends-{secrets.token_hex(3)}",
        **ISSUED,
        jwt_secret_arn=secret_manager.create_secret(Name=name, SecretBinary=shared_secret)["ARN"],
        jwt_token_from=["header"],
        history_rooms=[f"{ROOM_PREFIX}logged-*"],
        kick_enabled=True,
        publish_enabled=True,
        publish_queue_enabled=True,
    )
    return GuardedBySecret(deployment, SharedSecret(shared_secret))


@pytest.fixture(scope="session")
def both_guarded(
    target: Target, endpoint: KeyEndpoint, shared_secret: bytes
) -> Iterator[Mapping[str, Future[Deployment]]]:
    """Both instances, applied side by side."""
    assert target.aws is not None
    secret_manager = target.aws.session.client("secretsmanager", endpoint_url=target.aws.endpoint_url)
    name = f"signing-{secrets.token_hex(3)}"
    secret_arn = secret_manager.create_secret(Name=name, SecretBinary=shared_secret)["ARN"]
    places = ["header", "subprotocol", "query"]
    variables: Mapping[str, Mapping[str, Any]] = {
        "keys": {
            "jwt_jwks_url": endpoint.url,
            "jwt_token_from": places,
            "presence_rooms": [f"{PRESENCE_ROOM}*"],
            "presence_window_seconds": 1,
        },
        "secret": {
            "jwt_secret_arn": secret_arn,
            "jwt_token_from": ["header"],
            "maximum_room_members": MEMBERS,
            "messages_per_second": RATE,
        },
    }
    with ThreadPoolExecutor() as pool:
        yield {
            kind: pool.submit(target.deploy_to_stay, f"jwt-{kind}-{secrets.token_hex(3)}", **ISSUED, **own)
            for kind, own in variables.items()
        }


@pytest.fixture(scope="session")
def guarded(
    both_guarded: Mapping[str, Future[Deployment]], keys: tuple[RsaKey, EcKey], endpoint: KeyEndpoint
) -> Guarded:
    """The instance that gets its keys from an endpoint and looks for tokens in all three places."""
    return Guarded(result_of(both_guarded["keys"], "an instance that wants tokens"), *keys, endpoint)


@pytest.fixture(scope="session")
def guarded_by_secret(both_guarded: Mapping[str, Future[Deployment]], shared_secret: bytes) -> GuardedBySecret:
    """The instance with limits and tokens signed with a shared secret."""
    deployment = result_of(both_guarded["secret"], "an instance that verifies with a secret")
    return GuardedBySecret(deployment, SharedSecret(shared_secret))


@pytest.fixture
async def admitted(guarded: Guarded) -> AsyncIterator[Crowd]:
    """Opens clients of the guarded instance; fails the test if one received a message that the test did not take."""
    crowd = Crowd(guarded.url)
    yield crowd
    await crowd.finish()

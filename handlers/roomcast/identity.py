"""Who a client is and which rights it has, as API Gateway says in every event of its connection.

``JWT`` and ``CUSTOM`` have a Lambda authorizer, whose context is the contract for authorizers of other teams:
``principalId`` (1 to 128 printable characters), ``rooms`` (JSON text, see ``rights``) and ``exp`` (whole seconds since
1970, as text). A context that breaks it grants nothing
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import rights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

    from roomcast.events import Event

LEEWAY_SECONDS = 60
"""How far clocks may differ. A token is good until its expiry plus this: at the handshake, for actions and for rows."""

MAXIMUM_SUBJECT_CHARACTERS = 128
MAXIMUM_EXPIRY = 2**53
"""Numbers are exact up to here in every language."""

_SECONDS = re.compile(r"[0-9]{1,16}", re.ASCII)


class Identity(NamedTuple):
    """A client, as its connection's authorizer knows it.

    Attributes:
        subject: Name of the client; empty where there is none.
        rights: Its rights in rooms.
        ends_at: When the token has expired with all leeway, in seconds since 1970; ``None`` for never.
        fault: The part of the authorizer's context that breaks the contract; empty if none does.
    """

    subject: str
    rights: rights.Rights
    ends_at: int | None = None
    fault: str = ""

    @property
    def is_expired(self) -> bool:
        """Whether the token has expired."""
        return self.ends_at is not None and time.time() >= self.ends_at

    def why_absent(self) -> str:
        """The error code for a client without items: they end with its token, perhaps a moment ago."""
        return "token_expired" if self.is_expired else "reconnect"

    def may(self, right: str, room: str) -> bool:
        """Whether the client has a right in a room."""
        return right in self.rights.of(room)


def of(event: Event, authorization: str) -> Identity:
    """Read who sent an event.

    A connection that is older than the authorizer has an event without a context. It counts as expired, so that its
    client connects again.

    Args:
        event: The event.
        authorization: One of ``settings.AUTHORIZATIONS``.
    """
    if authorization == "NONE":
        return Identity("", rights.ALL)
    if authorization == "AWS_IAM":
        return Identity(subject_of(event), rights.ALL)
    if event.authorizer is None:
        return Identity("", rights.NONE, 0, "" if authorization == "JWT" else "authorizer")
    return _read(event.authorizer)


def token_end(event: Event, client: Identity, room: str) -> int | None:
    """When the token of a handshake has expired, in seconds since 1970, with all leeway.

    A context counts whatever the function's own authorization says, because during an apply a function may read the
    old environment although API Gateway asks the authorizer already.

    Args:
        event: The handshake.
        client: Its client, as ``of`` has read it.
        room: Name of the room that it asks for; empty for none.

    Returns:
        ``None`` without a token that is good for the room.
    """
    # A function that has no authorizer has not read the context.
    holder = of(event, "CUSTOM") if client.rights is rights.ALL else client
    may_join = holder.may("join", room) if room else holder.rights.somewhere("join")
    return holder.ends_at if may_join and not holder.is_expired else None


def subject_of(event: Event) -> str:
    """Name of the client, with or without rights; empty if its identity was not checked."""
    if event.authorizer is None:
        # arn:aws:sts::111122223333:assumed-role/Role/session
        return "".join(event.user_arn.split(":", 5)[5:])
    subject = event.authorizer.get("principalId")
    return subject if is_subject(subject) else ""


def is_subject(subject: object) -> TypeGuard[str]:
    """Whether a value may name a client: 1 to 128 printable characters."""
    return isinstance(subject, str) and 1 <= len(subject) <= MAXIMUM_SUBJECT_CHARACTERS and subject.isprintable()


def _read(context: Mapping[str, Any]) -> Identity:
    subject, expiry = context.get("principalId"), context.get("exp")
    if not is_subject(subject):
        return _malformed("principalId")
    if not isinstance(expiry, str) or not _SECONDS.fullmatch(expiry) or int(expiry) > MAXIMUM_EXPIRY:
        return _malformed("exp")
    try:
        granted = rights.read(context.get("rooms"))
    except rights.MalformedRightsError:
        return _malformed("rooms")
    return Identity(subject, granted, int(expiry) + LEEWAY_SECONDS)


def _malformed(fault: str) -> Identity:
    return Identity("", rights.NONE, fault=fault)

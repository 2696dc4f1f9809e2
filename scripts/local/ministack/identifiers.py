"""Connection ids in API Gateway's form, so that errors in encoding and signing them show."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from ministack.services import apigateway

from scripts.local.ministack.sessions import current
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable


@replaces(apigateway, "new_uuid")
def new_uuid(original: Callable[[], str]) -> str:
    """Return a connection id for the first UUID of each connection, which MiniStack takes as the id."""
    session = current.get(None)
    if session is None or session.connection_id:
        return original()
    session.connection_id = connection_id()
    return session.connection_id


def connection_id() -> str:
    """Return 11 random bytes as URL-safe base64: 16 characters, the last one ``=``."""
    text = "-"
    while "-" in text:  # MiniStack removes hyphens, which would leave fewer than 16 characters
        text = base64.urlsafe_b64encode(os.urandom(11)).decode()
    return text

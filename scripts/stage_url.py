"""The URL of a stage: which ones are accepted, and how a room is added. Nothing else builds or judges such URLs."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit

EXAMPLE = "wss://abc123.execute-api.eu-central-1.amazonaws.com/live"
API_GATEWAY_HOST = re.compile(r"[a-z0-9-]+\.execute-api\.[a-z0-9-]+\.[a-z.]+")
LOCAL_NAMES = ("localhost", "localhost.localstack.cloud")
"""Names that, with all names below them, lead to this machine."""


class StageUrlError(ValueError):
    """This is not the URL of a stage; the message says why, and repeats nothing that could be a secret."""


def stage_url(text: str) -> str:
    """Return a stage's WebSocket URL without surrounding white space and trailing slashes.

    A query is refused, a fragment and credentials too: the harness would have to keep an authorizer's token out of
    every report and log, and clients that were sent there without their room would talk to users in the room `default`.

    Args:
        text: What somebody typed, or an output of Terraform.

    Raises:
        StageUrlError: It is no such URL. Credentials, query and fragment are not repeated.
    """
    url = text.strip()
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise StageUrlError(f"the stage's URL holds white space or a control character; it looks like {EXAMPLE}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise StageUrlError(f"the stage's URL cannot be read; it looks like {EXAMPLE}") from error
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise StageUrlError(
            f"{shown(parts)!r} is no WebSocket URL of a stage, which looks like {EXAMPLE} (output websocket_url)"
        )
    if "@" in parts.netloc:
        raise StageUrlError(f"the URL of {shown(parts)} carries credentials, which WebSocket APIs do not read")
    if "?" in url or "#" in url:
        raise StageUrlError(
            f"the URL of {shown(parts)} goes on after the stage, with a query or a fragment: give it without, for the "
            "harness adds `?room=` itself, and tokens in URLs are not supported"
        )
    if parts.scheme == "ws" and not is_local(parts.hostname):
        raise StageUrlError(f"{shown(parts)} is not encrypted: only a stage on this machine or network may be ws://")
    if API_GATEWAY_HOST.fullmatch(parts.hostname) and not parts.path.strip("/"):
        raise StageUrlError(f"{shown(parts)} names no stage: API Gateway's own URLs end in one, as in {EXAMPLE}")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def in_room(url: str, room: str | None) -> str:
    """Return the URL with which a client joins a room.

    Args:
        url: The stage's URL, as :func:`stage_url` returns it.
        room: Name of the room, of any characters; None to ask for none.

    Raises:
        ValueError: The URL has a query already, which would swallow the room.
    """
    if room is None:
        return url
    if "?" in url or "#" in url:
        raise ValueError("a room cannot be added to a URL that has a query or a fragment")
    return f"{url}?room={quote(room, safe='')}"


def shown(parts: SplitResult) -> str:
    """Return a URL without what may be secret in it: credentials, query and fragment."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_local(host: str) -> bool:
    """Whether a host is this machine, or a neighbour that only its own network reaches."""
    name = host.rstrip(".").lower()
    if any(name == local or name.endswith(f".{local}") for local in LOCAL_NAMES):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_private
    except ValueError:
        return "." not in name  # a container or a machine next door; the Internet's names have a dot

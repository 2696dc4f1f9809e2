"""The URL of a stage: validation, and adding a room. No other module builds or validates such URLs."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit

EXAMPLE = "wss://abc123.execute-api.eu-central-1.amazonaws.com/live"
API_GATEWAY_HOST = re.compile(r"[a-z0-9-]+\.execute-api\.[a-z0-9-]+\.[a-z.]+")
LOCAL_NAMES = ("localhost", "localhost.localstack.cloud")
"""Names of this machine, including all names below them."""


class StageUrlError(ValueError):
    """The text is not the URL of a stage; the message gives the reason and repeats no possible secret."""


def stage_url(text: str) -> str:
    """Return a stage's WebSocket URL without surrounding white space and trailing slashes.

    A query, a fragment and credentials are refused. A query could hold an authorizer's token, which must not reach a
    report or log; and a query that hides the room would put the harness's clients among users in the room `default`.

    Args:
        text: The user's input, or an output of Terraform.

    Raises:
        StageUrlError: The text is no such URL. The message omits credentials, query and fragment.
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
    try:
        parts.hostname.encode("idna")  # as the system's resolver is asked
    except UnicodeError as error:
        raise StageUrlError(
            f"{shown(parts)!r} names no host that there can be: the parts between its dots have 1 to 63 characters"
        ) from error
    if "@" in parts.netloc:
        raise StageUrlError(f"the URL of {shown(parts)} carries credentials, which WebSocket APIs ignore: remove them")
    if "?" in url or "#" in url:
        raise StageUrlError(
            f"the URL of {shown(parts)} has a query or a fragment after the stage: remove it, because the harness adds "
            "`?room=` itself; tokens in URLs are not supported"
        )
    if parts.scheme == "ws" and not is_local(parts.hostname):
        raise StageUrlError(f"{shown(parts)} is not encrypted: only a stage on this machine or network may be ws://")
    if API_GATEWAY_HOST.fullmatch(parts.hostname) and not parts.path.strip("/"):
        raise StageUrlError(f"{shown(parts)} names no stage: API Gateway's URLs end with the stage, as in {EXAMPLE}")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def in_room(url: str, room: str | None) -> str:
    """Return the URL with which a client joins a room.

    Args:
        url: The stage's URL, from :func:`stage_url`.
        room: Name of the room, any characters; None for no room in the query.

    Raises:
        ValueError: The URL already has a query.
    """
    if room is None:
        return url
    if "?" in url or "#" in url:
        raise ValueError("a room cannot be added to a URL that has a query or a fragment")
    return f"{url}?room={quote(room, safe='')}"


def shown(parts: SplitResult) -> str:
    """Return a URL without credentials, query and fragment, which may hold secrets."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_local(host: str) -> bool:
    """Whether a host is this machine or one in its private network."""
    name = host.rstrip(".").lower()
    if any(name == local or name.endswith(f".{local}") for local in LOCAL_NAMES):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_private
    except ValueError:
        return "." not in name  # a container or a machine nearby; names on the Internet have a dot

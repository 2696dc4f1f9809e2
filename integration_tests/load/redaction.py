"""Command lines and URLs without the parts that may be secret."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def without_secrets(arguments: Sequence[str]) -> str:
    """Return a command line for a report: of a stage's URL only scheme, host and path, since the rest may be secret."""
    written, is_url = [], False
    for argument in arguments:
        name, equals, value = argument.partition("=") if argument.startswith("--websocket-url=") else ("", "", argument)
        written.append(f"{name}{equals}{public(value)}" if equals or is_url or "://" in value else argument)
        is_url = argument == "--websocket-url"
    return shlex.join(["python", "-m", "integration_tests.load", *written])


def public(url: str) -> str:
    """Return a URL without its possibly secret parts: user, password, query and fragment."""
    match = re.match(r"([^/?#]*:)?(//)?([^?#]*)", url)
    scheme, slashes, rest = match.groups("") if match else ("", "", "")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"

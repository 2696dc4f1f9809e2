"""Lets programs reach servers on this machine without a proxy.

boto3, urllib, ``websockets``, pip and most other clients use the proxy in ``HTTP_PROXY``, ``HTTPS_PROXY``,
``ALL_PROXY`` and ``WS_PROXY`` (in either case) even for 127.0.0.1, unless ``NO_PROXY`` excludes it. A proxy on another
machine cannot reach an emulator on this one.

This file needs only the standard library.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]", "localhost.localstack.cloud")
"""Some clients expect brackets around an IPv6 address, others none. The last name is LocalStack's for 127.0.0.1. A name
includes all names below it."""


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that exclude this machine from proxies.

    Args:
        environment: The environment to extend; its own exclusions stay in force.
    """
    named = {name: value for name, value in environment.items() if name.lower() == "no_proxy"}
    # The lower-case name takes precedence, as in urllib, boto3 and websockets.
    given = named.get("no_proxy", next(iter(named.values()), ""))
    if given.strip() == "*":
        return {"NO_PROXY": "*", "no_proxy": "*"}
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    value = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    return {**dict.fromkeys(named, value), "NO_PROXY": value, "no_proxy": value}


def reach_directly() -> None:
    """Exclude this machine from proxies, for this process and its children; call it first in a program."""
    if uses_proxy(os.environ):  # on macOS, NO_PROXY alone hides the system's proxy settings from Python
        os.environ.update(without_proxy(os.environ))


def uses_proxy(environment: Mapping[str, str]) -> bool:
    """Whether an environment names a proxy."""
    return any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment)

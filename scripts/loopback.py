"""Programs reach what runs on this machine directly, whatever proxy the environment names.

The variables ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``WS_PROXY``, in any case, send boto3, urllib,
``websockets``, pip and most other clients to a proxy, for 127.0.0.1 too unless ``NO_PROXY`` says otherwise. A proxy is
there for the world outside: an emulator on this machine cannot be reached through one.

This file needs the standard library only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]", "localhost.localstack.cloud")
"""Clients differ in whether an IPv6 address has brackets; the last one is LocalStack's name for 127.0.0.1. A name
stands for all names below it too."""


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep clients from using a proxy towards this machine.

    Args:
        environment: the environment that these variables are to be added to; exceptions in it stay in force.
    """
    named = {name: value for name, value in environment.items() if name.lower() == "no_proxy"}
    # As urllib has it, and boto3 and websockets with it: the name in lower case comes first.
    given = named.get("no_proxy", next(iter(named.values()), ""))
    if given.strip() == "*":
        return {"NO_PROXY": "*", "no_proxy": "*"}
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    value = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    return {**dict.fromkeys(named, value), "NO_PROXY": value, "no_proxy": value}


def reach_directly() -> None:
    """Let this process, and those that it starts, reach this machine without a proxy; call it first in a program."""
    if uses_proxy(os.environ):  # on macOS, a NO_PROXY alone would hide the system's own proxy settings from Python
        os.environ.update(without_proxy(os.environ))


def uses_proxy(environment: Mapping[str, str]) -> bool:
    """Whether an environment names a proxy."""
    return any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment)

"""Corrects MiniStack inside this process, then runs it. The package's docstring tells how to start it."""

from __future__ import annotations

from importlib import import_module, metadata

from scripts.local.ministack import wrapping

PINNED_VERSION = "1.5.33"
MODULES = (
    "frames",
    "headers",
    "workers",
    "updates",
    "code_objects",
    "versions",
    "metric_lines",
    "log_groups",
    "cold_starts",
    "log_keys",
    "log_queries",
    "query_definitions",
    "alarms",
    "identifiers",
    "events",
    "integrations",
    "authorizers",
    "throttling",
    "account_quotas",
    "routes",
    "metrics",
    "access_logs",
    "handshake",
    "replies",
    "lifetime",
    "management",
    "route_settings",
    "tags",
    "deployments",
    "actions",
    "message_moves",
    "conditions",
    "table_keys",
    "removals",
    "iam_tags",
    "simulation",
    "service_quotas",
    "vpc_endpoints",
    "repeats",
    "sessions",
)
"""In order of installation: of two modules that wrap the same function, the later one is the outer wrapper."""


def check_version() -> None:
    """Refuse any MiniStack but the pinned version, because the corrections depend on its internals.

    Raises:
        SystemExit: Another version is installed, or none.
    """
    try:
        installed = metadata.version("ministack")
    except metadata.PackageNotFoundError:
        message = f"ministack is not installed for this interpreter: install ministack=={PINNED_VERSION}"
        raise SystemExit(message) from None
    if installed != PINNED_VERSION:
        message = (
            f"ministack {installed} is installed, but the corrections are made for {PINNED_VERSION}: install that one, "
            "or run the tests beside this file against the new version and then change PINNED_VERSION"
        )
        raise SystemExit(message)


def main() -> None:
    """Install the corrections and hand over to MiniStack's own command line."""
    check_version()
    for name in MODULES:
        module = import_module(f"{__package__}.{name}")
        if hasattr(module, "install"):  # more than replaced functions
            module.install()
        wrapping.install(module.__name__)
    import_module("ministack.app").main()


if __name__ == "__main__":
    main()

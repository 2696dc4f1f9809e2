"""Corrects MiniStack inside this process, then runs it. See the package's docstring for how to call it."""

from __future__ import annotations

from importlib import import_module, metadata

from scripts.local.ministack.corrections import PINNED_VERSION

MODULES = (
    "frames",
    "headers",
    "workers",
    "updates",
    "log_groups",
    "identifiers",
    "events",
    "integrations",
    "throttling",
    "routes",
    "handshake",
    "replies",
    "lifetime",
    "management",
    "route_settings",
    "tags",
    "deployments",
    "actions",
    "sessions",
)
"""In the order of installation: of two that wrap the same function, the later one is the outer one."""


def check_version() -> None:
    """Refuse a MiniStack whose inside nobody has compared with these corrections.

    Raises:
        SystemExit: another version is installed, or none.
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
    for module in MODULES:
        import_module(f"{__package__}.{module}").install()
    import_module("ministack.app").main()


if __name__ == "__main__":
    main()

"""Clients towards AWS or an emulator."""

from __future__ import annotations

from scripts.local.aws import Aws


def test_no_invocation_is_repeated_while_the_function_runs() -> None:
    """A function may run for 15 minutes (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""
    client = Aws.of_emulator("http://127.0.0.1:9").functions
    assert client.meta.config.read_timeout >= 15 * 60  # type: ignore[attr-defined] # botocore sets it

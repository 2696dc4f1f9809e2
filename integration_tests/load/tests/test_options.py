"""What the command line becomes."""

from __future__ import annotations

import pytest

from integration_tests.load.options import without_secrets


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["run", "--websocket-url", "wss://h.example/live?token=S3CRET"], "run --websocket-url wss://h.example/live"),
        (
            ["run", "--websocket-url=wss://h.example/live?a=b&token=S3CRET#S3CRET"],
            "run --websocket-url=wss://h.example/live",
        ),
        (["run", "--websocket-url", "wss://user:S3CRET@h.example/live"], "run --websocket-url wss://h.example/live"),
        (["run", "--websocket-url", "h.example/live?token=S3CRET"], "run --websocket-url h.example/live"),
        (
            ["bench", "--websocket-url", "wss://h.example?S3CRET", "--sizes", "5"],
            "bench --websocket-url wss://h.example --sizes 5",
        ),
        (["run", "--rate", "2", "--previous", "a b.json"], "run --rate 2 --previous 'a b.json'"),
    ],
)
def test_command_in_the_report_holds_no_secret(arguments: list[str], written: str) -> None:
    assert without_secrets(arguments) == f"python -m integration_tests.load {written}"

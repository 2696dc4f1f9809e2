"""``$default``: every message that no route takes is answered, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes import FakeConnections, FakeContext, error_code, message

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "not_json"),
        ("hello", "not_json"),
        ('{"action":', "not_json"),
        ("NaN", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_an_object"),
        ('"sendmessage"', "not_an_object"),
        ("null", "not_an_object"),
        ("{}", "no_action"),
        ('{"action":null}', "no_action"),
        ('{"action":""}', "no_action"),
        ('{"action":5}', "no_action"),
        ('{"action":"fly"}', "unknown_action"),
        ('{"action":"SendMessage"}', "unknown_action"),
    ],
)
def test_the_answer_says_what_was_wrong(
    load: Callable[[str], Any], connections: FakeConnections, body: str, code: str
) -> None:
    assert load("default").handler(message("alice=", body, "$default"), FakeContext()) == {"statusCode": 200}

    assert [error_code(text) for text in connections.received("alice=")] == [code]


def test_a_caller_that_has_left_is_no_error(load: Callable[[str], Any], connections: FakeConnections) -> None:
    connections.gone.add("alice=")

    assert load("default").handler(message("alice=", "hello", "$default"), FakeContext()) == {"statusCode": 200}


def test_an_answer_that_cannot_be_posted_is_logged(
    load: Callable[[str], Any], connections: FakeConnections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.failing.add("alice=")
    load("default").handler(message("alice=", "hello", "$default"), FakeContext())

    assert "the caller got no answer" in capsys.readouterr().out

"""JSON with what cannot be calculated with or written is refused in one kind of error."""

from __future__ import annotations

import pytest

from scripts import finite_json


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "{", b"\xff", "NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "-1e999"),
        *("9" * 400, "-" + "9" * 400, "9" * 5_000, "[" * 100_000, "[" * 900 + "]" * 900 + "]"),
        *(r'"\ud83d"', r'{"\udc00": 1}'),
    ],
    ids=lambda text: str(text)[:12],
)
def test_what_no_program_can_use_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        finite_json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, -2.5, 1e308, true, null]}', {"a": [1, -2.5, 1e308, True, None]}),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ("9" * 300, int("9" * 300)),
    ],
    ids=["numbers", "a pair", "many digits"],
)
def test_all_else_is_read(text: str | bytes, value: object) -> None:
    assert finite_json.loads(text) == value

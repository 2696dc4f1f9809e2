"""How numbers are written for people."""

from __future__ import annotations

import pytest

from integration_tests.report.metrics import format_number


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234567, "count", "1,234,567"),
        (2.5, "count", "2.5"),
        (0.123, "ms", "0.12 ms"),
        (41.216, "ms", "41.2 ms"),
        (1417.2, "ms", "1,417 ms"),
        (12_340, "ms", "12.3 s"),
        (12.34, "seconds", "12.3 s"),
        (185, "seconds", "3 min 5 s"),
        (7260, "seconds", "2 h 1 min"),
        (98.44, "per_second", "98.4/s"),
        (0.9985, "share", "99.85 %"),
        (1, "share", "100 %"),
        (0.0, "share", "0 %"),
        (0.999999, "share", "99.9999 %"),
        (0.000001, "share", "0.0001 %"),
    ],
)
def test_numbers_have_as_many_digits_as_people_can_use(value: float, unit: str, text: str) -> None:
    assert format_number(value, unit) == text

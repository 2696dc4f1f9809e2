"""Configuration: what each environment variable means, and which default or neighbour it yields to."""

from __future__ import annotations

import pytest
from roomcast import settings


@pytest.mark.parametrize(
    ("per_room", "read", "expected"),
    [
        (None, None, (1, 1)),
        ("3", None, (3, 3)),
        ("3", "", (3, 3)),
        ("3", "5", (3, 5)),
        (None, "5", (1, 5)),
        ("5", "3", (5, 5)),
    ],
)
def test_as_many_shards_are_read_as_are_written_or_more(
    monkeypatch: pytest.MonkeyPatch, per_room: str | None, read: str | None, expected: tuple[int, int]
) -> None:
    for name, value in (("ROOMCAST_SHARDS_PER_ROOM", per_room), ("ROOMCAST_SHARDS_READ", read)):
        if value is not None:
            monkeypatch.setenv(name, value)
    read_settings = settings.from_environment()

    assert (read_settings.shards_per_room, read_settings.shards_read) == expected


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_of_shards_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("ROOMCAST_SHARDS_PER_ROOM", number)
    with pytest.raises(ValueError, match=number):
        settings.from_environment()

"""The rule by which a message counts as missed."""

from __future__ import annotations

import pytest

from integration_tests.recover.talkers import Said, Stay, missed


def stay(*times: float, heard: set[str], room: str = "one") -> Stay:
    """Return a connection that said something at some times, acknowledged half a second later."""
    return Stay(room, [Said(f"{at}", at, at + 0.5) for at in times], heard)


SENDER = stay(5, heard={"5"})


@pytest.mark.parametrize(
    ("member", "lines"),
    [
        (stay(1, 9, heard={"1", "9"}), 1),
        (stay(1, 9, heard={"1", "5", "9"}), 0),
        (stay(1, 9, heard={"1", "9"}, room="two"), 0),
        (stay(1, 3, heard={"1", "3"}), 0),
        (stay(6, 9, heard={"6", "9"}), 0),
        (stay(4.8, 9, heard={"4.8", "9"}), 0),
        (stay(1, 5.2, heard={"1", "5.2"}), 0),
        (stay(heard=set()), 0),
    ],
    ids=["missed", "heard", "elsewhere", "gone", "late", "joining", "leaving", "silent"],
)
def test_what_is_said_while_a_member_certainly_is_one_must_reach_it(member: Stay, lines: int) -> None:
    assert len(missed([SENDER, member])) == lines

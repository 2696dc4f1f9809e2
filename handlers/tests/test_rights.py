"""Rights: which rooms a claim opens, compared with a second reading of the rules."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from roomcast import protocol, rights

CHARACTERS = string.ascii_letters + string.digits + "._-"
EVERY = ["join", "send", "history", "presence"]

rooms = st.text(CHARACTERS, min_size=1, max_size=64)
near = st.text("ab-", min_size=1, max_size=4)
patterns = st.one_of(rooms, near, st.just("*"), st.builds("{}*".format, rooms), st.builds("{}*".format, near))
names = st.one_of(patterns, st.text(max_size=70), st.text(CHARACTERS + "*?[]#%\n", max_size=66))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
words = st.one_of(st.sampled_from([*EVERY, "JOIN", "join ", "*", "admin", ""]), anything)
claims = st.one_of(
    st.lists(st.one_of(names, anything), max_size=6),
    st.dictionaries(names, st.one_of(st.lists(words, max_size=5), anything), max_size=6),
)


def expected(claim: Any, room: str) -> tuple[set[str], int]:
    """The rights in a room and the number of ignored entries, by the letter of the rules."""
    entries = [(each, ["join", "send", "history"]) for each in claim] if isinstance(claim, list) else claim.items()
    found: set[str] = set()
    ignored = 0
    for pattern, words in entries:
        stem = pattern.removesuffix("*") if isinstance(pattern, str) else None
        fits = pattern == "*" or (stem is not None and 1 <= len(stem) <= 64 and set(stem) <= set(CHARACTERS))
        if not fits or not isinstance(words, list):
            ignored += 1
            continue
        ignored += sum(not (isinstance(word, str) and word in EVERY) for word in words)
        is_open = room == pattern or (pattern.endswith("*") and room[: len(pattern) - 1] == pattern[:-1])
        found |= {word for word in words if is_open and isinstance(word, str) and word in EVERY}
    return found, ignored


@given(claims, st.one_of(rooms, near))
@example({"a": ["join"], "a*": ["send"], "*": [], "b": ["presence"]}, "a")
@example(["a**"], "a")
@example(["a\n"], "a")
@example({"a": "join"}, "a")
@example({"a": {"join": True}}, "a")
@example({"a": [["join"]]}, "a")
def test_rights_are_those_of_the_rules(claim: Any, room: str) -> None:
    read = rights.read(json.dumps(claim)) if len(json.dumps(claim)) <= 4096 else rights.of_claim(claim)
    found, ignored = expected(claim, room)

    assert read.of(room) == found
    assert read.ignored == ignored
    assert rights.of_claim(claim) == read


@given(st.lists(patterns, min_size=1, max_size=4), st.one_of(rooms, near))
def test_more_patterns_never_take_a_right_away(listed: list[str], room: str) -> None:
    for kept in range(len(listed)):
        assert rights.of_claim(listed[:kept]).of(room) <= rights.of_claim(listed).of(room)


@given(near, near)
def test_a_room_opens_no_other_room(room: str, other: str) -> None:
    assert bool(rights.of_claim([room]).of(other)) == (room == other)


@given(st.one_of(anything, st.just("lobby"), st.just(None)))
def test_another_form_is_malformed(claim: object) -> None:
    if not isinstance(claim, (list, dict)):
        with pytest.raises(rights.MalformedRightsError):
            rights.of_claim(claim)
        with pytest.raises(rights.MalformedRightsError):
            rights.read(json.dumps(claim))


@given(st.one_of(st.text(max_size=40), anything))
@example("")
@example("[" * 100_000)
@example('{"a":["join"],"a":["send"]}')
@example('[{"a":1,"a":2}]')
@example("9" * 4_500)
@example("[" + "9" * 4_400 + "]")
@example("\ud800")
@example('["lobby"] ["lobby"]')
@example("['lobby']")
def test_any_context_is_read_or_malformed(text: object) -> None:
    try:
        granted = rights.read(text)
    except rights.MalformedRightsError:
        return
    assert isinstance(json.loads(str(text)), (list, dict))
    assert granted.of("lobby") <= rights.EVERY_RIGHT


def test_the_size_limit_counts_bytes() -> None:
    fitting = json.dumps(["a" * 60] * 64, separators=(",", ":"))
    padded = fitting + " " * (rights.MAXIMUM_BYTES - len(fitting))

    assert rights.read(padded).of("a" * 60) == rights.LISTED_RIGHTS
    with pytest.raises(rights.MalformedRightsError):
        rights.read(padded + " ")
    with pytest.raises(rights.MalformedRightsError):
        rights.read(json.dumps(["ü" * 2_100], ensure_ascii=False))


def test_a_list_never_grants_presence() -> None:
    assert rights.of_claim(["*"]).of("lobby") == {"join", "send", "history"}
    assert rights.of_claim({"*": EVERY}).of("lobby") == set(EVERY) == rights.ALL.of("lobby")
    assert rights.NONE.of("lobby") == frozenset()


@given(rooms)
def test_each_room_name_is_a_pattern(room: str) -> None:
    assert protocol.ROOM_NAME.fullmatch(room)
    assert rights.of_claim([room]).of(room) == rights.LISTED_RIGHTS

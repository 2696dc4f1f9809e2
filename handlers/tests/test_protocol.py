"""The wire protocol over all of its input, not only the examples of the route tests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomcast import protocol

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def parsed_or_refused(body: str) -> protocol.Message | str:
    """The message, or the code of the refusal; anything else that is raised fails the test."""
    try:
        return protocol.parse_message(body)
    except protocol.Refusal as refusal:
        return refusal.code


@given(st.text())
def test_any_text_is_a_message_or_a_refusal(body: str) -> None:
    outcome = parsed_or_refused(body)

    assert isinstance(outcome, protocol.Message) or outcome in protocol.ERRORS


@given(st.dictionaries(st.sampled_from(["action", "data", "to", "id"]), json_values))
def test_any_object_is_a_message_that_can_be_sent_or_a_refusal(command: dict[str, object]) -> None:
    outcome = parsed_or_refused(json.dumps(command))

    assert outcome.data.encode() if isinstance(outcome, protocol.Message) else outcome in protocol.ERRORS


@given(json_values.filter(lambda value: not isinstance(value, str)))
def test_data_survives_as_json(data: object) -> None:
    message = protocol.parse_message(json.dumps({"data": data}))

    assert json.loads(message.data) == data


@given(st.text(min_size=1))
def test_text_is_delivered_as_it_is(data: str) -> None:
    assert protocol.parse_message(json.dumps({"data": data})).data == data


@given(st.from_regex(protocol.ROOM_NAME, fullmatch=True))
def test_a_room_name_is_taken_as_it_is(name: str) -> None:
    assert protocol.room_of({"room": [name]}) == name


@given(st.text().filter(lambda name: not protocol.ROOM_NAME.fullmatch(name)))
def test_any_other_text_is_no_room(name: str) -> None:
    with pytest.raises(protocol.InvalidRoomError):
        protocol.room_of({"room": [name]})


@pytest.mark.parametrize("code", protocol.ERRORS)
def test_every_error_is_one_json_object(code: str) -> None:
    answer = json.loads(protocol.error(code, "request-1"))

    assert answer == {"error": {"code": code, "message": protocol.ERRORS[code], "requestId": "request-1"}}


def test_a_receipt_carries_the_callers_id_unchanged() -> None:
    assert json.loads(protocol.receipt('"ü\n', 1, 2, 3)) == {
        "receipt": {"id": '"ü\n', "delivered": 1, "gone": 2, "failed": 3}
    }

"""The wire protocol over all of its input, not only the examples of the route tests."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from roomcast import protocol

ROOM_CHARACTERS = set(string.ascii_letters + string.digits + "._-")

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


BLANKS = st.text(" \t\r\n", max_size=3)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
STRINGS = st.text().map(json.dumps) | st.text().map(lambda text: json.dumps(text, ensure_ascii=False))


@st.composite
def arrays(draw: st.DrawFn, elements: st.SearchStrategy[str]) -> str:
    """The JSON text of an array, with blanks wherever they may stand."""
    items = [draw(BLANKS) + item + draw(BLANKS) for item in draw(st.lists(elements, max_size=4))]
    return f"[{','.join(items) or draw(BLANKS)}]"


@st.composite
def objects(draw: st.DrawFn, elements: st.SearchStrategy[str]) -> str:
    """The JSON text of an object, with blanks, and with keys that may be there twice."""
    keys = st.sampled_from(['"data"', '"a"', '"d\\u0061ta"']) | STRINGS
    parts = draw(st.lists(st.tuples(BLANKS, keys, BLANKS, BLANKS, elements, BLANKS), max_size=4))
    items = [f"{before}{key}{middle}:{after}{value}{end}" for before, key, middle, after, value, end in parts]
    return f"{{{','.join(items) or draw(BLANKS)}}}"


JSON_TEXTS = st.recursive(
    NUMBERS | STRINGS | st.sampled_from(["true", "false", "null"]),
    lambda children: arrays(children) | objects(children),
    max_leaves=8,
)


@given(data=JSON_TEXTS.filter(lambda text: not text.startswith('"')), others=objects(JSON_TEXTS), blanks=BLANKS)
def test_a_value_is_the_text_that_came(data: str, others: str, blanks: str) -> None:
    """Wherever it stands: of several members of that name the last one counts, as for every parser."""
    members = others.strip("{}" + " \t\r\n")
    before = f"{members}," if members and others.startswith("{") else ""
    body = f'{blanks}{{{before}{blanks}"data"{blanks}:{blanks}{data}{blanks}}}{blanks}'
    try:
        json.loads(body)
    except ValueError:
        assume(condition=False)  # members cut off from an object that ended in one
    assert protocol.parse_message(body).data == data


UNCHANGED = (
    "19.990",
    "12345678901234567890.12345678901234567890",
    "-0",
    "-0.0",
    "1e-400",
    "1E400",
    "[1e5000]",
    "9" * 5_000,
    '{"a":1,"a":2}',
    "[ 1 , 2 ]",
    r'{"b":1,"a":"\u0041\n\\ud800"}',
    r'["\ud83d\ude00"]',
    '["\u2028\x7f"]',
)


@pytest.mark.parametrize("data", UNCHANGED)
def test_nothing_of_a_value_changes(data: str) -> None:
    assert protocol.parse_message(f'{{"data":"first","data": {data}}}').data == data


HALVES = (
    r'["\ud800"]',
    r'{"\uDFFF":1}',
    r'["\ud83d\u0041"]',
    r'["\ude00\ud83d"]',
    r'["\\\ud800"]',
    r'{"a":"\ud800","a":1}',
    '["\ud800"]',
)


@pytest.mark.parametrize("data", HALVES)
def test_half_a_pair_within_a_value_is_refused(data: str) -> None:
    assert parsed_or_refused(f'{{"data":{data}}}') == "not_unicode"


NO_JSON = [
    "NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    "01",
    "1.",
    ".5",
    "+1",
    "0x1",
    "1e",
    "[1,]",
    "{'a':1}",
    "nul",
    "1,2",
]


@pytest.mark.parametrize("data", ["", "1 2", *NO_JSON, "[" * 24_000, '{"a":' * 5_000])
def test_what_is_no_json_is_refused(data: str) -> None:
    assert parsed_or_refused(f'{{"data":{data}}}') == "not_json"


@pytest.mark.parametrize("depth", [297, 300, 303, 501, 900, 1_005, 6_000, 12_000])
@pytest.mark.parametrize(("opening", "end"), [("[", "]"), ('{"a":', "}"), ('[{"[":[', "]}]")])
def test_value_that_is_nested_deeper_than_300_is_refused(opening: str, end: str, depth: int) -> None:
    """However deep the parser of a Python release goes."""
    turns = depth // len(end)
    data = opening * turns + "1" + end * turns
    result = parsed_or_refused(f'{{"data":{data}}}')

    assert (result == "not_json") is (depth > 300)
    assert depth > 300 or getattr(result, "data", None) == data


@pytest.mark.parametrize(
    "data", [f"[{','.join(['[]'] * 5_000)}]", '["' + "[" * 5_000 + '"]', r'["\"[",' * 300 + "1" + "]" * 300]
)
def test_brackets_beside_each_other_and_in_strings_are_no_depth(data: str) -> None:
    assert getattr(parsed_or_refused(f'{{"data":{data}}}'), "data", None) == data


def test_the_size_of_a_value_is_that_of_its_text() -> None:
    limit = protocol.MAXIMUM_DATA_BYTES
    assert isinstance(parsed_or_refused(f'{{"data":{"9" * limit}}}'), protocol.Message)
    assert parsed_or_refused(f'{{"data":{"9" * (limit + 1)}}}') == "too_large"
    assert parsed_or_refused(f'{{"data":[{" " * limit}]}}') == "too_large"


@pytest.mark.parametrize("number", ["5", "9" * 5_000, "1.5", "1e999"])
def test_a_number_is_no_text(number: str) -> None:
    assert parsed_or_refused(f'{{"data":"x","to":{number}}}') == "unknown_recipient"
    assert parsed_or_refused(f'{{"data":"x","id":{number}}}') == "invalid_id"
    assert protocol.refuse_unroutable(f'{{"action":{number}}}').code == "no_action"


@given(st.text(min_size=1))
def test_text_is_delivered_as_it_is(data: str) -> None:
    assert protocol.parse_message(json.dumps({"data": data})).data == data


@given(st.text(sorted(ROOM_CHARACTERS), min_size=1, max_size=64))
def test_a_room_name_is_taken_as_it_is(name: str) -> None:
    assert protocol.room_of({"room": [name]}) == name


@pytest.mark.parametrize("name", ["", "r" * 65, *(f"lobby{each}" for each in "#:/* \n\t?%,+~@$ü٣\0")], ids=repr)
def test_a_room_name_that_would_be_ambiguous_in_a_key_or_a_url_is_refused(name: str) -> None:
    with pytest.raises(protocol.InvalidRoomError):
        protocol.room_of({"room": [name]})


@given(st.text().filter(lambda name: not (name and len(name) <= 64 and set(name) <= ROOM_CHARACTERS)))
def test_any_other_text_is_no_room(name: str) -> None:
    with pytest.raises(protocol.InvalidRoomError):
        protocol.room_of({"room": [name]})


@pytest.mark.parametrize("connection_id", ["L0SM9cOFvHcCIhQ=", "a_b-C9==", "x" * 128])
def test_an_id_of_api_gateway_names_a_recipient(connection_id: str) -> None:
    assert protocol.parse_message(json.dumps({"data": "x", "to": connection_id})).to == connection_id


@pytest.mark.parametrize(
    "to",
    ["", "x" * 129, "x" * 4_000, *(f"L0SM9cOFvHcCIhQ={each}" for each in "#:/* \n?%\0ü٣"), None, 7, True, [], {}],
    ids=repr,
)
def test_what_cannot_be_a_connection_id_is_refused_before_the_table_is_asked(to: object) -> None:
    """DynamoDB refuses a key beyond 2048 bytes, which would look like a table that fails."""
    with pytest.raises(protocol.Refusal) as refusal:
        protocol.parse_message(json.dumps({"data": "x", "to": to}))

    assert refusal.value.code == "unknown_recipient"


@pytest.mark.parametrize("code", protocol.ERRORS)
def test_every_error_is_one_json_object(code: str) -> None:
    answer = json.loads(protocol.error(code, "request-1"))

    assert answer == {"error": {"code": code, "message": protocol.ERRORS[code], "requestId": "request-1"}}


@pytest.mark.parametrize("message", protocol.ERRORS.values(), ids=protocol.ERRORS)
def test_every_error_says_what_was_wrong_and_what_to_do(message: str) -> None:
    assert [bool(half) for half in message.split("; ")] == [True, True]


def test_a_receipt_carries_the_callers_id_unchanged() -> None:
    assert json.loads(protocol.receipt('"ü\n', 1, 2, 3)) == {
        "receipt": {"id": '"ü\n', "delivered": 1, "gone": 2, "failed": 3}
    }

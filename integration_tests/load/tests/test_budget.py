"""The estimated cost of a run on a live stage, and the ceiling above which a run needs an option."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration_tests.load.budget import usage
from integration_tests.load.plan import Plan

PLAN = Plan(
    scenario="steady",
    connections=100,
    rooms=1,
    messages=60,
    rate=1,
    size=100,
    connect_rate=500,
    lifetime=60,
    processes=1,
)


def test_one_chat_line_in_a_room_of_hundred_is_one_message_in_hundred_out_and_a_receipt() -> None:
    quantities = usage(replace(PLAN, messages=1)).quantities

    assert quantities["API Gateway messages"] == 1 + 100 + 1
    assert quantities["Lambda invocations"] == 2 * 100 + 1
    assert quantities["DynamoDB write units"] == 100 * 8


def test_message_of_33_kilobytes_counts_twice_and_its_receipt_once() -> None:
    assert usage(replace(PLAN, messages=1, size=33 * 1024)).quantities["API Gateway messages"] == 2 * 101 + 1


def test_users_of_a_month_cost_what_amazon_says_they_do() -> None:
    """10,000 users connected 8 hours a day for 30 days are 144 million minutes: 36 USD."""
    month = replace(PLAN, connections=10_000, messages=1, rate=1 / (8 * 3600 * 30))

    minutes = usage(month).quantities["connection minutes"]
    assert minutes == pytest.approx(144_000_000, rel=0.001)
    assert usage(month).dollars == pytest.approx(36, rel=0.01)


@pytest.mark.parametrize(("messages", "minutes"), [(1, 1), (30, 1), (60, 1), (61, 2), (120, 2)])
def test_minute_that_has_begun_counts_as_a_whole_one(messages: int, minutes: int) -> None:
    assert usage(replace(PLAN, messages=messages)).quantities["connection minutes"] == 100 + 100 * minutes


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (32 * 1024, 1), (32 * 1024 + 1, 2), (128 * 1024, 4)])
def test_piece_that_has_begun_counts_as_a_whole_one(size: int, parts: int) -> None:
    quantities = usage(replace(PLAN, messages=1, size=size)).quantities
    assert quantities["API Gateway messages"] == parts * 101 + 1


def test_members_of_the_last_page_and_of_the_fullest_room_are_paid_for() -> None:
    """A room of 41 members is 3 read units, beside the one for the sender."""
    assert usage(replace(PLAN, connections=82, rooms=2, messages=1)).quantities["DynamoDB read units"] == 4
    assert usage(replace(PLAN, connections=81, rooms=2, messages=1)).quantities["DynamoDB read units"] == 4
    assert usage(replace(PLAN, connections=80, rooms=2, messages=1)).quantities["DynamoDB read units"] == 3


def test_clients_that_connect_again_cost_again() -> None:
    soak = replace(PLAN, scenario="soak", messages=600, rate=10, lifetime=30)

    assert usage(soak).quantities["DynamoDB write units"] == 8 * (100 + 100 * 2)
    assert usage(replace(PLAN, scenario="reconnect-storm")).quantities["DynamoDB write units"] == 8 * 2 * 100


def test_several_plans_cost_their_sum_and_connect_their_most() -> None:
    small, large = replace(PLAN, connections=10), replace(PLAN, connections=200)

    both = usage(small, large)
    assert both.connections == 200
    assert both.dollars == pytest.approx(usage(small).dollars + usage(large).dollars)


@pytest.mark.parametrize(
    ("plan", "small"),
    [
        (PLAN, True),
        (replace(PLAN, connections=500, messages=100), True),
        (replace(PLAN, connections=501), False),
        (replace(PLAN, messages=1_000), False),
    ],
)
def test_ceiling_is_on_connections_and_messages(plan: Plan, *, small: bool) -> None:
    assert usage(plan).is_small is small


def test_estimate_is_printed_item_by_item() -> None:
    lines = str(usage(PLAN)).splitlines()

    assert lines[0].split()[-1] == "USD"
    assert lines[1].split() == ["API", "Gateway", "messages", "6,120", "0.0061"]
    assert lines[-1].startswith("  together")

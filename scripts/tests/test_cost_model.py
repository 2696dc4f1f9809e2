"""What a stage costs, and which quota it reaches first: figures made by hand, and where the numbers come from."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import events, logs, run, serving, sweeping
from roomcast_cli import dated, model
from roomcast_cli.model import Usage

from scripts import cost_tables
from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.hcl import Block

PRICES = dated.entries("prices")
QUOTAS = dated.entries("quotas")
SMALL = Usage(connections=100, room_size=10, messages_per_second=1, bytes=200)
BUSY = Usage(connections=10_000, room_size=100, messages_per_second=10, bytes=500)
IDLE = Usage(connections=1_000_000, room_size=1_000, messages_per_second=1, bytes=500)
BY_HAND = 1.728 * 1024
"""Memory, in MB, with which the figures by hand were made; the default is 1,024."""


def cost(usage: Usage, *, free_tier: bool = False) -> model.Cost:
    """The cost at the prices of the file."""
    return model.cost(usage, dated.values(PRICES), free_tier=free_tier)


def of_services(usage: Usage, **options: bool) -> dict[str, float]:
    """USD by service; the parts of API Gateway apart."""
    usd: dict[str, float] = {}
    for line in cost(usage, **options).lines:
        name = line.item if line.service in {"apigateway", "lambda"} or line.item == "logs" else line.service
        usd[name] = usd.get(name, 0.0) + line.usd
    return {name: round(number, 2) for name, number in usd.items()}


@pytest.mark.parametrize(
    ("usage", "usd", "together"),
    [
        (SMALL, [30.43, 1.08, 0.73, 2.61, 0.99, 1.88, 7.30, 1.02], 46.04),
        (BUSY, [2447.94, 108.00, 26.11, 35.60, 47.10, 47.24, 7.30, 171.85], 2891.14),
        (IDLE, [17635.67, 10800.00, 2093.32, 580.89, 3422.42, 3157.57, 7.30, 325.81], 38022.98),
    ],
    ids=["small", "busy", "idle"],
)
def test_cost_is_as_made_by_hand(usage: Usage, usd: list[float], together: float) -> None:
    names = ["API Gateway messages", "connection minutes", "Lambda requests", "Lambda compute"]
    names += ["dynamodb", "logs", "cloudwatch", "transfer"]

    found = replace(usage, memory=BY_HAND)

    assert of_services(found) == pytest.approx(dict(zip(names, usd, strict=True)), abs=0.006)
    assert cost(found).usd == pytest.approx(together, abs=0.02)


@pytest.mark.parametrize(
    ("usage", "compute", "together"), [(SMALL, 1.54, 45), (BUSY, 23.02, 2879), (IDLE, 577.82, 38020)]
)
def test_cost_with_the_default_memory_differs_in_compute_alone(usage: Usage, compute: float, together: float) -> None:
    """By hand with 1.728 GB: 2.61, 35.60 and 580.89; GB-seconds of a fan-out are in proportion to its memory."""
    found, by_hand = of_services(usage), of_services(replace(usage, memory=BY_HAND))

    assert found["Lambda compute"] == compute
    assert {name for name in found if found[name] != by_hand[name]} == {"Lambda compute"}
    assert round(cost(usage).usd) == together


def test_heartbeats_are_half_of_an_idle_stage() -> None:
    assert cost(replace(IDLE, heartbeat=480, memory=BY_HAND)).usd == pytest.approx(28_421, abs=1)
    assert cost(IDLE).message_parts["heartbeat"] == pytest.approx(19_200e6)
    in_text_mode = cost(replace(IDLE, heartbeat=0))
    assert in_text_mode.message_parts["heartbeat"] == 0


@pytest.mark.parametrize(
    ("usage", "usd"),
    [(SMALL, [29, 49, 49, 105]), (BUSY, [2652, 2782, 1199, 7010]), (IDLE, [6051, 60830, None, None])],
    ids=["small", "busy", "idle"],
)
def test_other_services_cost_as_made_by_hand(usage: Usage, usd: list[float | None]) -> None:
    found = model.alternatives(usage, dated.values(PRICES), PRICES["pusher_plans"].value)

    assert [other.service for other in found] == ["AppSync Events", "Azure Web PubSub", "Pusher", "Ably"]
    assert [None if other.usd is None else round(other.usd) for other in found] == usd


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"ids": True}, {"API Gateway messages": 25.92 * 0.80}),
        ({"history": True}, {"dynamodb": 25.92 * 2 * 0.625}),
        ({"history": True, "bytes": 1_500}, {"dynamodb": 25.92 * 3 * 0.625, "transfer": 2_592 * 1_000 / 1e3 * 0.09}),
        (
            {"history": True, "ids": True},
            {"API Gateway messages": 25.92 * 0.80, "dynamodb": 25.92 * (4 * 0.625 + 0.125)},
        ),
        ({"authorizer": True}, {"Lambda requests": 4.32 * 0.20, "cloudwatch": 2 * 0.10}),
        (
            # 8,640 runs a month, each a census of 10,000 connections and a minute for 7,500 of them: 263 and 197 units.
            {"sweeper": True},
            {
                "Lambda requests": 0.00864 * 0.20,
                "Lambda compute": 0.00864 * 60.5 * 0.25 * 13.3334,
                "dynamodb": 0.00864 * ((1 + 263 + 197) * 0.125 + 2 * 0.625),
                "cloudwatch": 2 * 0.30 + 4 * 0.10,
            },
        ),
        (
            {"queued": True},
            {
                "Lambda requests": 25.92 * 0.20,
                "Lambda compute": 25.92 * 0.015 * 13.3334,
                "sqs": (3 * 25.92 + 0.65) * 0.40,
                "cloudwatch": 4 * 0.10,
            },
        ),
        ({"queued": True, "fifo": True}, {"sqs": (3 * 25.92 + 0.65) * 0.50}),
        # Each shard has a task of its own.
        ({"queued": True, "shards": 4}, {"Lambda requests": 4 * 25.92 * 0.20, "sqs": (4 * 3 * 25.92 + 0.65) * 0.40}),
        # A task has some bytes beside the message, and then counts twice.
        ({"queued": True, "bytes": 65_500}, {"sqs": (2 * 3 * 25.92 + 0.65) * 0.40}),
        # Of 32 KB, what clients send counts once, and what they receive, with its envelope, twice.
        ({"bytes": 32_768}, {"API Gateway messages": 2_592 * 0.80}),
        (
            # Items with a token are more than twice as large: 531 and 399 units.
            {"authorizer": True, "sweeper": True},
            {"dynamodb": 0.00864 * ((1 + 531 + 399) * 0.125 + 2 * 0.625), "cloudwatch": 2 * 0.30 + 6 * 0.10},
        ),
        ({"nat_zones": 2}, {"nat": 2 * 32.85 + (2_592 * 1_650 + 96 * 1_100) / 1e3 * 0.045}),
        ({"shards": 4}, {"dynamodb": 25.92 * (4 - 3) * 0.125}),
        ({"hours_a_day": 12}, {"connection minutes": -54.00}),
    ],
    ids=lambda value: " ".join(value) if "usd" not in value else None,
)
def test_an_option_changes_its_terms(change: dict[str, Any], more: Mapping[str, float]) -> None:
    before, after = of_services(BUSY), of_services(replace(BUSY, **change))

    assert {name: after[name] - before.get(name, 0.0) for name in more} == pytest.approx(dict(more), abs=0.02)


def test_a_sweeper_of_a_large_stage_is_as_made_by_hand() -> None:
    """A census of 100,000 connections reads 2,600 units: 2.80 USD a month; one of a million ten times that."""

    def reads(connections: int) -> float:
        usage = replace(BUSY, connections=connections, heartbeat=0, messages_per_second=0)
        swept = of_services(replace(usage, sweeper=True))["dynamodb"]
        # Without the sweep, which reads 7,500 connections again, and its writes.
        return swept - of_services(usage)["dynamodb"] - 0.00864 * ((1 + 197) * 0.125 + 2 * 0.625)

    assert reads(100_000) == pytest.approx(2.80, abs=0.05)
    assert reads(1_000_000) == pytest.approx(28, abs=0.5)


def test_free_tiers_are_taken_off_once_each() -> None:
    free = {name: usd - of_services(SMALL, free_tier=True)[name] for name, usd in of_services(SMALL).items()}

    assert free == pytest.approx(
        {
            "API Gateway messages": 0,
            "connection minutes": 0,
            "Lambda requests": 0.20,
            "Lambda compute": 1.54,  # 400,000 GB-seconds are more than it uses
            "dynamodb": 0,
            "logs": 1.88,
            "cloudwatch": 1.20 + 1.00 + 3.00,
            "transfer": 1.02,
        },
        abs=0.011,
    )


@pytest.mark.parametrize(("fifo", "usd"), [(False, 0.40), (True, 0.50)])
def test_queues_of_either_kind_have_the_free_tier(fifo: bool, usd: float) -> None:
    queued = replace(BUSY, queued=True, fifo=fifo)

    assert of_services(queued)["sqs"] - of_services(queued, free_tier=True)["sqs"] == pytest.approx(usd, abs=0.011)


def test_other_services_are_used_in_the_same_hours() -> None:
    def appsync(hours: float) -> float:
        usage = replace(BUSY, hours_a_day=hours)
        found = model.alternatives(usage, dated.values(PRICES), PRICES["pusher_plans"].value)
        return next(other.usd or 0.0 for other in found if other.service == "AppSync Events")

    assert appsync(12) == pytest.approx(appsync(24) / 2)


# Capacity


def shares(usage: Usage, **own: float) -> dict[str, float]:
    """Shares of quotas, by their names."""
    return {quota.quota: quota.share for quota in model.capacity(usage, {**dated.values(QUOTAS), **own})}


@pytest.mark.parametrize(
    ("usage", "requests"), [(SMALL, 12), (BUSY, 1_087), (IDLE, 8_742)], ids=["small", "busy", "idle"]
)
def test_requests_are_as_made_by_hand(usage: Usage, requests: int) -> None:
    [found] = [quota for quota in model.capacity(usage, dated.values(QUOTAS)) if quota.quota == "requests_per_second"]

    assert round(found.used) == requests
    assert sum(found.parts.values()) == pytest.approx(found.used)


def test_idle_stage_is_as_made_by_hand() -> None:
    """But for two figures.

    Handshakes come first, because the most used quota does: by hand the requests did, with less than the handshakes.
    And the shard counts leaves, and the most clients that handshakes let in at once: 1 instead of 0.2 joins a second.
    """
    found = model.capacity(IDLE, dated.values(QUOTAS))
    by_name = {quota.quota: quota for quota in found}

    assert [quota.quota for quota in found[:3]] == [
        "handshakes_per_second",
        "requests_per_second",
        "concurrent_executions",
    ]
    assert round(by_name["requests_per_second"].parts["heartbeat"]) == 7_407
    assert by_name["requests_per_second"].remedy == "client_limits.heartbeat 480 s: 55%"
    assert (by_name["handshakes_per_second"].used, by_name["handshakes_per_second"].limit) == (200_000, 500)
    assert "client_limits.spread 600 s" in by_name["handshakes_per_second"].remedy
    assert round(by_name["concurrent_executions"].used) == 67
    assert by_name["shard_write_units"].used == pytest.approx(1.0)
    assert by_name["shard_write_units"].limit == 500


def test_a_sweeper_asks_with_a_share_of_the_requests() -> None:
    requests = model.capacity(replace(BUSY, sweeper=True), dated.values(QUOTAS))
    [found] = [quota for quota in requests if quota.quota == "requests_per_second"]

    assert found.parts["sweeper"] == model.SWEEP_PACE == 0.05 * 2_500
    assert round(found.used) == 1_087 + 125
    assert shares(replace(SMALL, sweeper=True))["requests_per_second"] == pytest.approx((11.8 + 100) / 10_000, abs=1e-4)


def used(usage: Usage, name: str, **own: float) -> float:
    """What is used of one quota."""
    return next(quota.used for quota in model.capacity(usage, {**dated.values(QUOTAS), **own}) if quota.quota == name)


def test_receipts_and_a_sweeper_use_quotas() -> None:
    receipts = used(replace(BUSY, ids=True), "requests_per_second") - used(BUSY, "requests_per_second")
    assert receipts == pytest.approx(10)
    runs = used(replace(BUSY, sweeper=True), "concurrent_executions") - used(BUSY, "concurrent_executions")
    assert runs == pytest.approx(1)


def test_shards_share_the_reads_of_a_room() -> None:
    crowd = Usage(connections=1_000, room_size=1_000, messages_per_second=10)
    assert used(crowd, "shard_read_units") == pytest.approx(10 * 25)  # 100 KB, of 4 KB a unit
    assert used(replace(crowd, shards=5), "shard_read_units") == pytest.approx(10 * 5)


def test_a_fan_out_is_as_fast_as_its_engine_its_pace_and_the_account_let_it() -> None:
    crowd = Usage(connections=12_000, room_size=12_000, messages_per_second=0, heartbeat=0)

    def seconds(usage: Usage, requests: float) -> float:
        return used(usage, "fanout_seconds", requests_per_second=requests)

    assert seconds(crowd, 100_000) == pytest.approx(12_000 / model.ENGINE_POSTS)
    assert seconds(replace(crowd, pace=50_000), 100_000) == pytest.approx(12_000 / model.ENGINE_POSTS)
    assert seconds(replace(crowd, pace=500), 100_000) == pytest.approx(24)
    # Handshakes take 4 of 2,504 requests a second; and where others take all, a tenth is left.
    assert seconds(crowd, 2_504) == pytest.approx(12_000 / 2_500)
    assert seconds(replace(crowd, heartbeat=30), 800) == pytest.approx(12_000 / 80)


def remedied(usage: Usage, remedy: str, **own: float) -> float:
    """The share of the most used quota once its remedy is applied, which a pattern takes from the text."""
    [first, *_] = model.capacity(usage, {**dated.values(QUOTAS), **own})
    match = re.search(remedy, first.remedy)
    assert match is not None, first.remedy
    return float(match[1].replace(",", ""))


def test_a_remedy_is_enough() -> None:
    spread = remedied(BUSY, r"spread (\d+) s")
    assert not any(quota.is_short for quota in model.capacity(replace(BUSY, spread=spread), dated.values(QUOTAS)))

    crowded = Usage(connections=20_000, room_size=2_000, messages_per_second=5, spread=100)
    requests = remedied(crowded, r"ask AWS for ([\d,]+) requests")
    assert shares(crowded, requests_per_second=requests)["requests_per_second"] == pytest.approx(0.8, abs=0.001)


@pytest.mark.parametrize(
    ("usage", "first"),
    [
        (Usage(connections=100, room_size=10, messages_per_second=1), "handshakes_per_second"),
        (Usage(connections=400, room_size=400, messages_per_second=20, spread=60), "requests_per_second"),
        (Usage(connections=300, room_size=300, messages_per_second=1, spread=1), "shard_write_units"),
        (
            Usage(connections=2, room_size=2, messages_per_second=900, spread=600, history=True),
            "room_messages",
        ),
        (Usage(connections=2, room_size=2, messages_per_second=400, spread=600, fifo=True), "fifo_group"),
        (Usage(connections=20_000, room_size=20_000, messages_per_second=0.1, spread=600, pace=500), "fanout_seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_quota_can_come_first(usage: Usage, first: str) -> None:
    found = model.capacity(usage, dated.values(QUOTAS))

    assert found[0].quota == first
    assert [quota.share for quota in found] == sorted((quota.share for quota in found), reverse=True)


def test_an_account_of_its_own_breaks_where_it_is_short() -> None:
    assert (
        model.capacity(SMALL, {**dated.values(QUOTAS), "concurrent_executions": 0.1})[0].quota
        == "concurrent_executions"
    )
    assert shares(SMALL, requests_per_second=100)["requests_per_second"] == pytest.approx(0.1177, abs=0.001)


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": float("nan")},
        {"connections": float("inf")},
        {"connections": 0},
        {"room_size": 101},
        {"messages_per_second": -1},
        {"bytes": 131_073},
        {"heartbeat": 29},
        {"heartbeat": 481},
        {"hours_a_day": 25},
        {"spread": 601},
        {"shards": 0},
    ],
    ids=str,
)
def test_a_stage_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(model.UsageError, match=next(iter(wrong)).replace("_", "-")):
        replace(SMALL, **wrong)


# Where the numbers come from


@pytest.mark.parametrize("name", ["prices", "quotas"])
def test_an_entry_has_value_unit_region_source_and_date(name: str) -> None:
    today = dt.datetime.now(dt.UTC).date()
    for entry in dated.entries(name).values():
        assert all([entry.unit, entry.region, entry.source])
        assert dt.date.fromisoformat(f"{entry.date}-01") <= today
        assert re.search(r"https://|github\.com|price list", entry.source)
        values = [number for row in entry.value for number in row] if isinstance(entry.value, list) else [entry.value]
        assert values
        assert all(isinstance(value, int | float) and value > 0 for value in values)


def test_old_entries_are_named_and_young_ones_not() -> None:
    entries = {
        "old": dated.Entry(1, "", "", "", "2026-05"),
        "unused": dated.Entry(1, "", "", "", "2020-01"),
        "young": dated.Entry(1, "", "", "", "2026-06"),
    }
    used = {"old", "young"}

    assert dated.old(entries, used, dt.date(2026, 11, 28)) == "older than 180 days, look them up again: old (2026-05)"
    assert dated.old(entries, used, dt.date(2026, 10, 28)) == ""


@cache
def variables() -> dict[str, Block]:
    """The backend's variables."""
    files = (REPOSITORY / "terraform" / "modules" / "backend").glob("variables*.tf")
    return {block.labels[0]: block for file in files for block in read_blocks(file) if block.kind == "variable"}


def test_defaults_are_those_of_terraform() -> None:
    defaults = {
        name: variables()[name].attributes["default"].text
        for name in variables()
        if "default" in variables()[name].attributes
    }

    assert defaults["sendmessage_memory_size"] == str(SMALL.memory)
    assert defaults["shards_per_room"] == str(SMALL.shards)
    assert defaults["pace"] == str(SMALL.pace)
    assert defaults["architecture"] == '"arm64"'
    limits = dict(re.findall(r"(\w+)\s*= optional\(number, (\S+)\)", variables()["client_limits"].text))
    assert (limits["heartbeat"], limits["spread"]) == (str(SMALL.heartbeat), str(SMALL.spread))


def test_limits_are_those_of_terraform() -> None:
    text = variables()["client_limits"].text

    assert f"heartbeat <= {model.LONGEST_HEARTBEAT}" in text
    assert f"spread <= {model.LONGEST_SPREAD}" in text


def test_memory_and_time_are_those_of_the_routes() -> None:
    [block] = read_blocks(REPOSITORY / "terraform" / "modules" / "backend" / "routes.tf")
    rows = block.attributes["routes"].elements
    small = {name: row.elements["memory_size"].text for name, row in rows.items() if name != "sendmessage"}

    assert set(small.values()) == {str(int(SMALL.measured.small_gb * 1024))}
    assert {"$connect", "$disconnect", "ping"} <= small.keys()
    assert rows["sendmessage"].elements["memory_size"].text == "var.sendmessage_memory_size"
    assert rows["sendmessage"].elements["timeout"].text == str(model.FUNCTION_SECONDS)


def test_time_of_a_fan_out_is_what_the_handlers_leave_it() -> None:
    kept = events.DEADLINE_RESERVE_SECONDS + serving.ANSWER_SECONDS + run.RESERVE_SECONDS

    assert model.FUNCTION_SECONDS - kept == model.FANOUT_SECONDS


def test_metrics_are_those_that_functions_write_without_trouble() -> None:
    without_trouble = {name: metric for name, metric in logs.METRICS.items() if not metric.is_trouble}
    of_sweeper = [name for name, metric in without_trouble.items() if metric.by == ("sweeper",)]

    assert len(of_sweeper) == SMALL.measured.sweeper_metrics
    assert len(without_trouble) - len(of_sweeper) == SMALL.measured.metrics


def test_metrics_of_alarms_are_those_of_the_rows() -> None:
    """Each function has a metric of errors, but for the authorizer, and one of throttles."""
    text = page("terraform/modules/backend/alarms.tf")
    [rows] = re.findall(r"  alarm_rows = merge\((.*?)\n  \)\n", text, re.DOTALL)
    row = r'^ {6}(?:([a-z-]+) = \{|for \w+, \w+ in local\.[a-z_.]+ : "([a-z-]+)-[^"]*" => \{)\n(.*?)^ {6}\}$'
    metrics = {
        name or kind: body.count(" stat = ") for name, kind, body in re.findall(row, rows, re.DOTALL | re.MULTILINE)
    }
    of_option = {"authorizer-unavailable": 1, "dead-letters": 1, "queue-age": 1, "census-missing": 1, "stale-share": 1}
    assert {name: metrics.pop(name) for name in of_option} == of_option
    assert metrics.pop("function-errors") == metrics.pop("function-throttles") == 1
    [block] = read_blocks(REPOSITORY / "terraform" / "modules" / "backend" / "routes.tf")
    measured = SMALL.measured

    assert sum(metrics.values()) + 2 * len(block.attributes["routes"].elements) == measured.alarm_metrics
    assert of_option["authorizer-unavailable"] + 1 == measured.authorizer_alarms
    assert of_option["dead-letters"] + of_option["queue-age"] + 2 == measured.queue_alarms
    assert of_option["census-missing"] + of_option["stale-share"] + 2 == measured.sweeper_alarms


def test_sweeper_is_as_in_terraform() -> None:
    assert f'"rate({model.CENSUS_SECONDS // 60} minutes)"' in page("terraform/modules/backend/sweeper.tf")
    [share] = re.findall(r"share\s*= optional\(number, (\S+)\)", variables()["sweeper"].text)
    quota = variables()["account_requests_per_second"].attributes["default"].text
    assert float(share) * float(quota) == model.SWEEP_PACE
    assert sweeping.SWEEP_SECONDS == model.SWEEP_SECONDS


# What the pages say


def page(name: str) -> str:
    """The text of a page."""
    return (REPOSITORY / name).read_text("utf-8")


def test_pages_print_the_price_of_a_million_deliveries() -> None:
    """Receipts are in it, for clients of `roomcast.v1` ask for them; connections and their heartbeats are not."""
    usd = sum(usd for _, _, usd in cost_tables.of_deliveries())

    assert f"one million deliveries for {usd:.2f} USD" in page("README.md")
    assert f"| **together** |  | **{usd:.2f}** |" in page("terraform/COST.md")


def test_page_prints_the_tables_of_the_model() -> None:
    assert cost_tables.costs(REPOSITORY / "terraform" / "COST.md") in page("terraform/COST.md")


def test_page_says_what_heartbeats_and_sizes_change() -> None:
    saved = cost(IDLE).usd - cost(replace(IDLE, heartbeat=480)).usd
    assert f"{round(saved, -2):,.0f} USD lower" in page("terraform/COST.md")
    assert cost(IDLE).message_parts["heartbeat"] > 0.8 * cost(IDLE).lines[0].quantity

    def of_transfer(size: int) -> float:
        found = cost(replace(cost_tables.DELIVERIES, connections=100, messages_per_second=100, bytes=size))
        return next(line.usd for line in found.lines if line.service == "transfer") / found.usd

    assert "a tenth of the bill\nat 1 KB, half of it at 10 KB" in page("terraform/COST.md")
    assert of_transfer(1_024) == pytest.approx(0.1, abs=0.03)
    assert of_transfer(10_240) == pytest.approx(0.5, abs=0.1)


def test_page_names_what_was_measured() -> None:
    measured = SMALL.measured
    for text in (
        f"{measured.send_log:,} bytes a message, {measured.ping_log} a ping, {measured.handshake_log:,} a handshake",
        f"{measured.send_seconds} s and {measured.send_seconds_per_member * 1e3:g} ms a member",
        f"a ping {measured.ping_seconds} s and a handshake with its end {measured.handshake_seconds} s",
        f"{measured.member_bytes} bytes for each member;",
        f"a handshake and its end write {measured.handshake_writes} units",
        f"{measured.metrics} metrics, {measured.alarm_metrics} metrics of alarms",
        f"{measured.sweeper_metrics} metrics and {measured.sweeper_alarms} metrics of alarms more",
        f"{measured.connection_bytes} bytes a connection, {measured.token_bytes} more with a token",
        f"{measured.envelope} bytes around it",
        f"{measured.pong + measured.frame_overhead} bytes a `pong`, {measured.frame_overhead} bytes of WebSocket",
    ):
        assert text in page("terraform/COST.md")

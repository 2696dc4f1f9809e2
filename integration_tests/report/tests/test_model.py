"""The JSON document of a run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.latency import Durations, Latency
from integration_tests.harness.ledger import Ledger
from integration_tests.report.clients import Connects
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limits, Tolerance
from integration_tests.report.metrics import METRICS
from integration_tests.report.tests.examples import BEGAN_AT, durations, example, example_run
from integration_tests.report.timeline import TIMELINE_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_document_is_plain_json() -> None:
    document = example(lose=True)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_invariants_are_the_ledgers_with_only_the_senders_concerned() -> None:
    clean, bad = example()["invariants"], example(lose=True)["invariants"]
    assert (clean["lost"], clean["delivered"], clean["members"], clean["senders"]) == (0, 30, 4, {})
    assert (bad["lost"], bad["duplicated"], bad["unexpected"]) == (10, 1, 1)
    assert bad["senders"].keys() == {"lobby|client-0"}
    assert bad["rooms"]["lobby"]["lost"] == 10


def test_handshakes_of_all_processes_count() -> None:
    total = Connects(5, 3, {"429": 2}, durations([0.1, 0.2, 0.3]), late=1)
    total.merge(Connects(4, 2, {"429": 1, "timeout": 1}, durations([0.4, 0.5]), late=2))

    assert (total.attempted, total.succeeded, total.late) == (9, 5, 3)
    assert total.refused == {"429": 3, "timeout": 1}
    assert total.times.percentiles() == durations([0.1, 0.2, 0.3, 0.4, 0.5]).percentiles()


def test_latency_carries_a_histogram_that_others_can_read() -> None:
    latency = example()["latency"]
    assert Durations.decode(latency["histogram"]).percentiles().p99_ms == latency["p99_ms"]
    assert latency["distribution"][-1] == [100.0, latency["max_ms"]]
    assert latency["count"] == 30


def test_the_timeline_counts_from_the_start_and_shows_gaps() -> None:
    timeline = example()["timeline"]
    assert [point["second"] for point in timeline] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [point["count"] for point in timeline] == [3, 3, 3, 3, 6, 3, 3, 3, 3]
    assert timeline[0]["max_ms"] == pytest.approx(40, rel=1e-2)


def test_a_long_timeline_is_thinned_out_and_keeps_its_peaks() -> None:
    latency = Latency()
    for second in range(1_000):
        latency.record(0.5 if second == 777 else 0.01)
        latency.close_interval(BEGAN_AT + second + 0.5, cpu=0.95 if second == 500 else 0.1, lag=0.0)
    timeline = replace(example_run(), latency=latency).document()["timeline"]
    assert len(timeline) <= TIMELINE_POINTS
    assert sum(point["count"] for point in timeline) == 1_000
    assert [point["second"] for point in timeline if point["max_ms"] > 400] == [775]
    assert [point["second"] for point in timeline if point["saturated"]] == [500]


def test_what_was_not_measured_is_null() -> None:
    run = replace(example_run(), connects=Connects(), departures=[], items_lacking=None, latency=Latency())
    document = replace(run, verdict=Ledger("r").verdict()).document()
    assert document["connects"]["success_ratio"] is document["connects"]["time"] is None
    assert document["departures"] == {"items_left": None, "items_lacking": None, "gone_max_ms": None, "kinds": []}
    assert document["timeline"] == document["latency"]["distribution"] == []


def test_items_left_add_up_over_the_kinds_that_could_be_counted() -> None:
    departures = example()["departures"]
    assert departures["items_left"] == 1
    assert departures["gone_max_ms"] == pytest.approx(400, rel=1e-2)
    assert departures["kinds"][2]["items_left"] is None


@pytest.mark.parametrize("path", sorted(METRICS))
def test_every_metric_stands_in_the_document(path: str) -> None:
    document = judge(example(), Limits(regressions={"latency.p99_ms": Tolerance()}), previous=example())
    assert METRICS[path].read(document) is not None


def test_the_readme_explains_every_field_and_metric() -> None:
    document = judge(example(lose=True), Limits.load(Path(__file__).parents[1] / "limits.toml"), previous=example())
    explained = set(re.findall(r"`([^`\n]+)`", README.replace("```", "")))
    assert set(keys_of(document)) - explained == set()
    assert set(METRICS) - explained == set()


def keys_of(value: object, *, named: bool = True) -> Iterator[str]:
    """Yield all keys of a document, but not the names that a run chooses (rooms, parameters ...)."""
    if isinstance(value, dict):
        for key, part in value.items():
            if named:
                yield key
            yield from keys_of(
                part, named=key not in {"rooms", "senders", "parameters", "versions", "refused", "incomplete"}
            )
    elif isinstance(value, list):
        for part in value:
            yield from keys_of(part)

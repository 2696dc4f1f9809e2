"""The charts: right places, and nothing that breaks the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from integration_tests.report import charts
from integration_tests.report.svg import Axis
from integration_tests.report.tests.examples import example

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

    from integration_tests.report.documents import Document


def test_an_axis_maps_its_ends_and_stops_there() -> None:
    axis = Axis(10, 20, 100, 200)
    assert [axis(value) for value in (5, 10, 15, 20, 99)] == [100, 100, 150, 200, 200]


def test_a_logarithmic_axis_gives_equal_ratios_equal_space() -> None:
    axis = Axis(1, 1000, 300, 0, logarithmic=True)
    assert [axis(value) for value in (1, 10, 100, 1000)] == [300, 200, 100, 0]


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 1000, 0, 1), [0, 200, 400, 600, 800, 1000]),
        (Axis(0, 7, 0, 1), [0, 2, 4, 6]),
        (Axis(8, 120, 0, 1, logarithmic=True), [10, 20, 50, 100]),
        (Axis(0.5, 90_000, 0, 1, logarithmic=True), [1, 10, 100, 1000, 10_000]),
    ],
)
def test_ticks_are_round_numbers(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


@pytest.mark.parametrize("draw", [charts.latency_over_time, charts.deliveries_over_time, charts.client_over_time])
def test_every_timeline_is_well_formed_and_explains_itself(draw: Callable[[Document], Markup]) -> None:
    document = example(lose=True, busy=True)
    root = ET.fromstring(str(draw(document)))  # noqa: S314 - our own text
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert len(root.findall("rect/title")) == len(document["timeline"])
    assert len([each for each in root.iter("rect") if each.get("class") == "saturated"]) == len(document["timeline"])


def test_the_latency_timeline_is_interrupted_where_nothing_arrived() -> None:
    document = example()
    document["timeline"][3]["count"] = 0
    root = ET.fromstring(str(charts.latency_over_time(document)))  # noqa: S314 - our own text
    lines = {each.get("class"): each.get("d") or "" for each in root.iter("path")}
    assert lines.keys() == {"line p50", "line p95", "line p99", "line max"}
    assert all(len(re.findall("M", path)) == 2 for path in lines.values())
    assert "no deliveries" in str(charts.latency_over_time(document))


def test_events_are_shown_and_escaped() -> None:
    svg = str(charts.latency_over_time(example()))
    assert "&lt;faults&gt; on" in svg
    assert "redeploy" in svg


def test_the_distribution_marks_the_percentiles() -> None:
    svg = str(charts.distribution(example()["latency"]))
    ET.fromstring(svg)  # noqa: S314 - our own text
    assert all(text in svg for text in ("p50 34.0 ms", "p95 48.0 ms", "p99 49.0 ms", "90 %"))


def test_a_run_of_one_delivery_can_be_drawn() -> None:
    latency = {**example()["latency"], "count": 1, "distribution": [[0.0, 5.0], [100.0, 5.0]]}
    ET.fromstring(str(charts.distribution(latency)))  # noqa: S314 - our own text

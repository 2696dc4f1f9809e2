"""The report's charts as inline SVG: shapes and labels only; the page's style sheet gives them their colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from integration_tests.report.metrics import format_number
from integration_tests.report.svg import LEFT, RIGHT, WIDTH, Axis, Chart, clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from integration_tests.report.documents import Document

PERCENTILES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")


def distribution(latency: Document) -> Markup:
    """Draw which latency which share of the deliveries does not exceed; each nine takes the same space."""
    points = [(percent, max(milliseconds, 0.001)) for percent, milliseconds in latency["distribution"]]
    nines = max(1.0, -math.log10(1 - points[-2][0] / 100)) if len(points) > 1 else 1.0
    top, bottom = 16, 264
    across, up = Axis(0, nines, LEFT, WIDTH - RIGHT), _milliseconds([value for _, value in points], top, bottom)
    chart = Chart("Delivery latency by percentile", bottom + 30)
    chart.horizontal_grid(up, _tick_ms)
    for number in range(math.floor(nines) + 1):
        percent = 100 * (1 - 10.0**-number)
        chart.add("text", f"{percent:.10g} %", x=across(number), y=bottom + 20, class_="tick middle")
        chart.add("line", x1=across(number), x2=across(number), y1=top, y2=bottom, class_="grid")
    chart.line(((across(_nines(percent, nines)), up(value)) for percent, value in points), "p99")
    for name in ("p50", "p95", "p99"):
        value = latency[f"{name}_ms"]
        x, y = across(_nines(float(name[1:]), nines)), up(max(value, 0.001))
        chart.add("circle", cx=x, cy=y, r=5, class_="dot")
        if x < LEFT + 140:  # no room for it on the left
            chart.add("text", f"{name} {format_number(value, 'ms')}", x=x + 10, y=y + 20, class_="label")
        else:
            chart.add("text", f"{name} {format_number(value, 'ms')}", x=x - 10, y=y - 10, class_="label end")
    return chart.draw()


def latency_over_time(document: Document) -> Markup:
    """Draw the percentiles of each interval, with events, and shade where the client was saturated."""
    timeline = document["timeline"]
    top, bottom = 34, 284
    chart, across = _timeline_chart("Delivery latency over time", document, top, bottom)
    measured = [point for point in timeline if point["count"]]
    up = _milliseconds([max(point[name], 0.001) for point in measured for name in PERCENTILES], top, bottom)
    chart.horizontal_grid(up, _tick_ms)
    for name in reversed(PERCENTILES):
        places = (
            (across(_middle(point)), up(max(point[name], 0.001))) if point["count"] else None for point in timeline
        )
        chart.line(places, name.removesuffix("_ms"))
    _events(chart, document, across, top, bottom)
    for point in timeline:
        texts = [f"{name.removesuffix('_ms')} {format_number(point[name], 'ms')}" for name in PERCENTILES]
        _point_hint(chart, point, across, (top, bottom), texts if point["count"] else ["no deliveries"])
    return chart.draw()


def deliveries_over_time(document: Document) -> Markup:
    """Draw how many deliveries arrived per second."""
    timeline = document["timeline"]
    top, bottom = 16, 136
    chart, across = _timeline_chart("Deliveries per second over time", document, top, bottom)
    rates = [point["count"] / point["seconds"] for point in timeline]
    up = Axis(0, max([1.0, *rates]) * 1.05, bottom, top)
    chart.horizontal_grid(up, lambda value: f"{value:,.0f}")
    for point, rate in zip(timeline, rates, strict=True):
        left, right = across(point["second"]), across(point["second"] + point["seconds"])
        width = round(max(1.0, right - left - 1), 1)
        chart.add("rect", x=left, y=up(rate), width=width, height=round(bottom - up(rate), 1), class_="bar")
        _point_hint(chart, point, across, (top, bottom), [f"{format_number(rate, 'per_second')}"])
    return chart.draw()


def client_over_time(document: Document) -> Markup:
    """Draw the CPU share of the client, one core being 100 %."""
    timeline = document["timeline"]
    top, bottom = 16, 116
    chart, across = _timeline_chart("CPU share of the client over time", document, top, bottom)
    up = Axis(0, max([1.0, *(point["cpu"] for point in timeline)]), bottom, top)
    for share in (0.0, 0.5, 1.0):
        chart.add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=up(share), y2=up(share), class_="grid")
        chart.add("text", f"{share:.0%}".replace("%", " %"), x=LEFT - 10, y=up(share) + 4, class_="tick end")
    chart.line(((across(_middle(point)), up(point["cpu"])) for point in timeline), "cpu")
    for point in timeline:
        texts = [format_number(point["cpu"], "share"), f"event loop {format_number(point['lag_ms'], 'ms')} late"]
        _point_hint(chart, point, across, (top, bottom), texts)
    return chart.draw()


def _timeline_chart(title: str, document: Document, top: float, bottom: float) -> tuple[Chart, Axis]:
    end = max(point["second"] + point["seconds"] for point in document["timeline"])
    chart, across = Chart(title, round(bottom) + 30), Axis(0, end, LEFT, WIDTH - RIGHT)
    for point in document["timeline"]:
        if point["saturated"]:
            left, right = across(point["second"]), across(point["second"] + point["seconds"])
            chart.add("rect", x=left, y=top, width=round(right - left, 1), height=bottom - top, class_="saturated")
    chart.time_axis(across, bottom)
    return chart, across


def _events(chart: Chart, document: Document, across: Axis, top: float, bottom: float) -> None:
    for event in document["events"]:
        x = across(event["second"])
        late = x > (LEFT + WIDTH) / 2
        chart.add("line", x1=x, x2=x, y1=top - 14, y2=bottom, class_="event")
        chart.add(
            "text", event["label"], x=x - 6 if late else x + 6, y=top - 8, class_="label end" if late else "label"
        )


def _point_hint(chart: Chart, point: Document, across: Axis, edges: tuple[float, float], texts: Sequence[str]) -> None:
    left, right = across(point["second"]), across(point["second"] + point["seconds"])
    when = f"{clock(point['second'])}{', client saturated' if point['saturated'] else ''}: "
    chart.hint(left, round(right - left, 1), *edges, when + ", ".join(texts))


def _middle(point: Document) -> float:
    return float(point["second"] + point["seconds"] / 2)


def _milliseconds(values: Sequence[float], top: float, bottom: float) -> Axis:
    low, high = min(values, default=1.0), max(values, default=10.0)
    return Axis(low / 1.3, max(high, low * 3) * 1.3, bottom, top, logarithmic=True)


def _nines(percent: float, most: float) -> float:
    return most if percent >= 100 else -math.log10(1 - percent / 100)


def _tick_ms(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"

"""The report's charts as inline SVG: shapes and labels only; the page's style sheet gives them their colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from integration_tests.report.metrics import format_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from integration_tests.report.model import Document

WIDTH = 960
LEFT, RIGHT = 76, 28
TIME_STEPS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400)
PERCENTILES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        start: Pixel of ``low``.
        end: Pixel of ``high``.
        logarithmic: Whether equal ratios take equal space.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside the axis stop at its ends."""
        low, high, value = (
            math.log10(max(each, 1e-9)) if self.logarithmic else each for each in (self.low, self.high, value)
        )
        return round(self.start + (self.end - self.start) * min(1.0, max(0.0, (value - low) / (high - low))), 1)

    def ticks(self) -> list[float]:
        """Return some round values between both ends."""
        if self.logarithmic:
            return self._decades()
        rough = (self.high - self.low) / 5
        step = next(each for each in _round_numbers(rough) if each >= rough)
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def _decades(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        multiples = (1,) if len(decades) > 4 else (1, 2, 5)
        values = [multiple * 10.0**decade for decade in decades for multiple in multiples]
        return [value for value in values if self.low <= value <= self.high * 1.001]


class Chart:
    """One SVG picture under construction.

    Args:
        title: Describes it for screen readers.
        height: In pixels of its own; it is scaled to the page.
    """

    def __init__(self, title: str, height: int) -> None:
        self.height = height
        self._title = title
        self._parts: list[str] = []

    def add(self, element: str, text: str = "", **attributes: str | float) -> None:
        """Add an element; ``class_`` and ``stroke_width`` style names become SVG's."""
        names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
        written = "".join(f' {names[name]}="{escape(value)}"' for name, value in attributes.items())
        self._parts.append(f"<{element}{written}>{escape(text)}</{element}>" if text else f"<{element}{written}/>")

    def horizontal_grid(self, axis: Axis, write: Callable[[float], str]) -> None:
        """Add a line and a label for each tick of a vertical axis."""
        for tick in axis.ticks():
            self.add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=axis(tick), y2=axis(tick), class_="grid")
            self.add("text", write(tick), x=LEFT - 10, y=axis(tick) + 4, class_="tick end")

    def time_axis(self, axis: Axis, bottom: float) -> None:
        """Add the labels of a horizontal time axis that begins at 0."""
        step = next((step for step in TIME_STEPS if axis.high / step <= 8), TIME_STEPS[-1])
        for number in range(math.floor(axis.high / step) + 1):
            self.add("text", _clock(number * step), x=axis(number * step), y=bottom + 20, class_="tick middle")

    def line(self, points: Iterable[tuple[float, float] | None], kind: str) -> None:
        """Add a line through points; None interrupts it."""
        path, moves = [], True
        for point in points:
            if point is not None:
                path.append(f"{'M' if moves else 'L'}{point[0]} {point[1]}")
            moves = point is None
        # A single point between two gaps shows only because round caps are drawn on a line of no length.
        self.add("path", d=" ".join(f"{each}h0" if each[0] == "M" else each for each in path), class_=f"line {kind}")

    def hint(self, x: float, width: float, top: float, bottom: float, text: str) -> None:
        """Add an invisible area that explains itself when pointed at."""
        area = f'<rect x="{x}" y="{top}" width="{width}" height="{bottom - top}" class="hint">'
        self._parts.append(f"{area}<title>{escape(text)}</title></rect>")

    def draw(self) -> Markup:
        """Return the picture."""
        head = f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self._title)}">'
        return Markup(head + "".join(self._parts) + "</svg>")  # noqa: S704 - every text in it is escaped above


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
    when = f"{_clock(point['second'])}{', client saturated' if point['saturated'] else ''}: "
    chart.hint(left, round(right - left, 1), *edges, when + ", ".join(texts))


def _middle(point: Document) -> float:
    return float(point["second"] + point["seconds"] / 2)


def _milliseconds(values: Sequence[float], top: float, bottom: float) -> Axis:
    low, high = min(values, default=1.0), max(values, default=10.0)
    return Axis(low / 1.3, max(high, low * 3) * 1.3, bottom, top, logarithmic=True)


def _nines(percent: float, most: float) -> float:
    return most if percent >= 100 else -math.log10(1 - percent / 100)


def _round_numbers(rough: float) -> list[float]:
    decade = 10.0 ** math.floor(math.log10(rough))
    return [1 * decade, 2 * decade, 5 * decade, 10 * decade]


def _tick_ms(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def _clock(second: float) -> str:
    minutes, seconds = divmod(round(second, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:02.0f}" if hours else f"{minutes}:{seconds:04.1f}".removesuffix(".0")

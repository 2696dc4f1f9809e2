"""An SVG picture under construction, and axes that map values to its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WIDTH = 960
LEFT, RIGHT = 76, 28
TIME_STEPS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400)


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
            self.add("text", clock(number * step), x=axis(number * step), y=bottom + 20, class_="tick middle")

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


def _round_numbers(rough: float) -> list[float]:
    decade = 10.0 ** math.floor(math.log10(rough))
    return [1 * decade, 2 * decade, 5 * decade, 10 * decade]


def clock(second: float) -> str:
    minutes, seconds = divmod(round(second, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:02.0f}" if hours else f"{minutes}:{seconds:04.1f}".removesuffix(".0")

"""SVG as text, without a library; colours and fonts come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


@dataclass(frozen=True)
class ChartAxis:
    """Maps the values `low` to `high` to the pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        fraction = (value - self.low) / (self.high - self.low)
        return self.start + fraction * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Three to eight round numbers within the axis."""
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(i * step, 10) for i in range(first, last + 1)]


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """One element; `class_` becomes `class`, numbers are rounded to a tenth.

    Args:
        name: Name of the element.
        content: Markup inside it; text must be escaped already.
        attributes: Attributes of the element.
    """
    pairs = "".join(f' {key.rstrip("_")}="{_value(v)}"' for key, v in attributes.items())
    return f"<{name}{pairs}>{content}</{name}>" if content else f"<{name}{pairs}/>"


def text(x: float, y: float, content: str, kind: str) -> str:
    """A text at a baseline; `kind` is its CSS classes: `tick` or `name`, and `mid` or `end`."""
    return tag("text", escape(content), class_=kind, x=x, y=y)


def line(start: Point, end: Point, kind: str) -> str:
    """A straight line of the CSS class `kind`."""
    return tag("line", class_=kind, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def polyline(points: Iterable[Point], kind: str) -> str:
    """A line through points, of the CSS classes `kind`."""
    return tag("polyline", class_=kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def picture(parts: Sequence[str], width: float, height: float, title: str = "") -> str:
    """The whole SVG; without a title it is hidden from screen readers."""
    label = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    return f'<svg viewBox="0 0 {width:g} {height:g}" {label}>{"".join(parts)}</svg>'


def _value(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, (int, float)) else escape(str(value))

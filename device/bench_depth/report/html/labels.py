"""Finds places for the labels of a plot's points where they cover nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench_depth.report.html.svg import Point

# Pixels from a point to the near edge of its label: beside it first, then farther away.
_REACHES = (12.0, 22.0, 34.0, 48.0, 64.0)
_TURNS = 16
_ROUNDS = 4
# Costs, in pixels of distance that are accepted to avoid one.
_COVERS, _CROSSES, _OUTSIDE = 1000.0, 150.0, 5000.0


class Box(NamedTuple):
    """A rectangle in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two have a point in common."""
        return (
            self.x0 <= other.x1
            and other.x0 <= self.x1
            and self.y0 <= other.y1
            and other.y0 <= self.y1
        )


class Place(NamedTuple):
    """Where a label may stand.

    Attributes:
        box: The label's box.
        point: The point that it labels.
        end: The end of the line from the point to the label.
        reach: Distance from the point to the label, pixels.
    """

    box: Box
    point: Point
    end: Point
    reach: float


def place_labels(
    points: Sequence[Point], sizes: Sequence[Point], marks: Sequence[Box], frame: Box
) -> list[Place]:
    """Finds a place for each label.

    Args:
        points: x, y of what is labelled, pixels.
        sizes: Width and height of each label, pixels.
        marks: Boxes that must stay visible: first each point's own mark, then any others.
        frame: Box that labels must stay inside.
    """
    options = [_options(point, size) for point, size in zip(points, sizes)]
    fixed = [
        [_fixed_cost(place, number, marks, frame) for place in places]
        for number, places in enumerate(options)
    ]
    chosen = [places[0] for places in options]
    # Each label takes the best place in view of the others', which may then move again.
    for _ in range(_ROUNDS):
        before = list(chosen)
        for number, places in enumerate(options):
            others = [place for i, place in enumerate(chosen) if i != number]
            costs = [
                cost + sum(_cost(place, other) for other in others)
                for place, cost in zip(places, fixed[number])
            ]
            chosen[number] = places[costs.index(min(costs))]
        if chosen == before:
            break
    return chosen


def _options(point: Point, size: Point) -> list[Place]:
    places = []
    for reach in _REACHES:
        for turn in range(_TURNS):
            angle = 2 * math.pi * turn / _TURNS
            right, down = _side(math.cos(angle)), _side(math.sin(angle))
            # Half of the label's size is added on its side, so that its edge, not its centre, is
            # at the reach.
            x = point[0] + math.cos(angle) * reach + size[0] / 2 * right
            y = point[1] + math.sin(angle) * reach + size[1] / 2 * down
            box = Box(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)
            end = (x - size[0] / 2 * right, y if right else y - size[1] / 2 * down)
            places.append(Place(box, point, end, reach))
    return places


def _side(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else math.copysign(1.0, value)


def _fixed_cost(place: Place, number: int, marks: Sequence[Box], frame: Box) -> float:
    """What a place costs wherever the other labels are."""
    cost = place.reach + _COVERS * sum(place.box.overlaps(mark) for mark in marks)
    cost += _CROSSES * sum(_crosses(place, mark) for i, mark in enumerate(marks) if i != number)
    inside = frame.x0 <= place.box.x0 and place.box.x1 <= frame.x1
    inside = inside and frame.y0 <= place.box.y0 and place.box.y1 <= frame.y1
    return cost + (0.0 if inside else _OUTSIDE)


def _cost(place: Place, other: Place) -> float:
    """What a place costs in view of another label's."""
    lines_cross = _crosses(other, place.box) or _lines_cross(place, other)
    crossings = _crosses(place, other.box) + lines_cross
    return _COVERS * place.box.overlaps(other.box) + _CROSSES * crossings


def _crosses(place: Place, box: Box) -> bool:
    """Whether the line from a place's point to its label crosses a box (Liang and Barsky)."""
    first, last = 0.0, 1.0
    for axis in (0, 1):
        start, length = place.point[axis], place.end[axis] - place.point[axis]
        near, far = box[axis] - start, box[axis + 2] - start
        if abs(length) < 1e-9:
            if near > 0 or far < 0:
                return False
            continue
        enters, leaves = sorted((near / length, far / length))
        first, last = max(first, enters), min(last, leaves)
    return first <= last


def _lines_cross(a: Place, b: Place) -> bool:
    def turns(start: Point, end: Point, point: Point) -> bool:
        across = (end[0] - start[0]) * (point[1] - start[1])
        return across > (end[1] - start[1]) * (point[0] - start[0])

    return turns(a.point, a.end, b.point) != turns(a.point, a.end, b.end) and (
        turns(b.point, b.end, a.point) != turns(b.point, b.end, a.end)
    )

"""Where the labels of a plot's points may stand without covering anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.path import Path
from matplotlib.transforms import Bbox

Offset = tuple[float, float]

# From a point to the near edge of its label, in pixels: beside it first, then farther and farther
# around it.
_REACHES = (12.0, 22.0, 34.0, 48.0, 64.0)
_TURNS = 16
_ROUNDS = 4
_COVERS, _CROSSES, _OUTSIDE = 1000.0, 150.0, 5000.0


@dataclass(frozen=True, eq=False)
class _Place:
    offset: Offset
    box: Bbox
    line: Path
    length: float


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    marks: Sequence[Bbox],
    frame: Bbox,
) -> list[Offset]:
    """Finds a place for each label.

    Args:
        points: x, y of what is labelled, pixels.
        sizes: Width and height of each label, pixels.
        marks: What must stay visible: first each point's own mark, then any others.
        frame: Where labels must stay.

    Returns:
        The offset of each label's centre from its point, pixels.
    """
    places = [_places(point, size) for point, size in zip(points, sizes, strict=True)]
    chosen = [options[0] for options in places]
    # Each takes the best place in view of the others', which may then move again.
    for _ in range(_ROUNDS):
        before = list(chosen)
        for index, options in enumerate(places):
            rest = [place for i, place in enumerate(chosen) if i != index]
            obstacles = [mark for i, mark in enumerate(marks) if i != index]
            costs = [_cost(place, marks[index], obstacles, rest, frame) for place in options]
            chosen[index] = options[costs.index(min(costs))]
        if chosen == before:
            break
    return [place.offset for place in chosen]


def _places(point: tuple[float, float], size: tuple[float, float]) -> list[_Place]:
    places = []
    for reach in _REACHES:
        for turn in range(_TURNS):
            angle = 2 * math.pi * turn / _TURNS
            # Half the label's size is added on the side it leans to, so that its edge, not its
            # centre, lies at the reach.
            dx = math.cos(angle) * reach + size[0] / 2 * _side(math.cos(angle))
            dy = math.sin(angle) * reach + size[1] / 2 * _side(math.sin(angle))
            x, y = point[0] + dx, point[1] + dy
            box = Bbox.from_bounds(x - size[0] / 2, y - size[1] / 2, size[0], size[1])
            end = (x - size[0] / 2 * _side(math.cos(angle)), y)
            places.append(_Place((dx, dy), box, Path([point, end]), reach))
    return places


def _side(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else math.copysign(1.0, value)


def _cost(
    place: _Place, own: Bbox, obstacles: Sequence[Bbox], others: Sequence[_Place], frame: Bbox
) -> float:
    covered = [own, *obstacles, *(other.box for other in others)]
    cost = place.length + _COVERS * sum(place.box.overlaps(box) for box in covered)
    cost += _CROSSES * sum(
        place.line.intersects_bbox(box, filled=True)
        for box in (*obstacles, *(other.box for other in others))
    )
    cost += _CROSSES * sum(
        place.line.intersects_path(other.line) or other.line.intersects_bbox(place.box, filled=True)
        for other in others
    )
    inside = frame.x0 <= place.box.x0 and place.box.x1 <= frame.x1
    inside &= frame.y0 <= place.box.y0 and place.box.y1 <= frame.y1
    return cost + (0.0 if inside else _OUTSIDE)

"""Zones: what is taken as one, and what is measured in it."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.scale import Scale
from bench_depth.live.zones import (
    MAX_ZONES,
    Watch,
    Zone,
    make_watch,
    parse_posted,
    parse_zone,
)

pytestmark = pytest.mark.same_everywhere
DOOR = {"name": "door", "x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}


def random_zone(draw: random.Random, name: str) -> Zone:
    left, right = sorted(draw.uniform(0, 1) for _ in range(2))
    top, bottom = sorted(draw.uniform(0, 1) for _ in range(2))
    return Zone(name, left, top, max(right - left, 1e-4), max(bottom - top, 1e-4))


def covered(zone: Zone, depth: np.ndarray) -> list[float]:
    """The pixels that a zone touches, one by one; 1e-6 of a pixel is none."""
    height, width = depth.shape
    return [
        float(depth[row, column])
        for row in range(height)
        for column in range(width)
        if (row + 1) / height > zone.y
        and row / height < zone.y + zone.height - 1e-6
        and (column + 1) / width > zone.x
        and column / width < zone.x + zone.width - 1e-6
    ]


def test_nearest_and_median_are_those_of_the_pixels_that_the_zone_touches() -> None:
    for seed in range(200):
        draw = random.Random(seed)
        shape = draw.randint(1, 9), draw.randint(1, 9)
        depth = np.random.default_rng(seed).uniform(0.1, 9, shape).astype(np.float32)
        zone = random_zone(draw, "z")
        if zone.x + zone.width > 1 or zone.y + zone.height > 1:
            continue
        (found,) = make_watch([zone], None).measure(depth, Scale())["zones"]
        pixels = covered(zone, depth)
        assert found["nearest"] == round(min(pixels), 3), (seed, zone)
        assert found["median"] == pytest.approx(np.median(pixels), abs=6e-4)


def test_what_is_printed_as_a_zone_is_read_as_one() -> None:
    for seed in range(200):
        zone = random_zone(random.Random(seed), f"a=b,{seed} ü")
        numbers = ",".join(map(repr, (zone.x, zone.y, zone.width, zone.height)))
        assert parse_zone(f"{zone.name}={numbers}") == zone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("door", "is not NAME=x,y,w,h"),
        ("door=1,2,3", "is not NAME=x,y,w,h"),
        ("door=0,0,1,1,1", "is not NAME=x,y,w,h"),
        ("door=0.1;0.1;0.2;0.2", "is not NAME=x,y,w,h"),
        ("door=a,b,c,d", "is not NAME=x,y,w,h"),
        ("", "is not NAME=x,y,w,h"),
        ("=0,0,1,1", "needs a name"),
        ("\x1b[31m=0,0,1,1", "needs a name"),
        (f"{'n' * 41}=0,0,1,1", "needs a name"),
        ("door=0.6,0,0.5,1", "not inside the picture"),
        ("door=-0.1,0,0.5,1", "not inside the picture"),
        ("door=0,0,0,1", "not inside the picture"),
        ("door=nan,0,1,1", "not inside the picture"),
        ("door=0,0,inf,1", "not inside the picture"),
        ("door=100,50,200,100", "not inside the picture"),
    ],
)
def test_no_zone(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make_watch([parse_zone(text)], None)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("alarm", [0.0, -1.0, float("nan"), float("inf")])
def test_no_alarm(alarm: float) -> None:
    with pytest.raises(UserError, match="impossible; give a distance above 0"):
        make_watch([], alarm)


def test_an_alarm_needs_metres() -> None:
    with pytest.raises(UserError, match="relative depth"):
        make_watch([], 1.0, relative=True)


def test_names_differ_and_there_are_at_most_sixteen() -> None:
    zones = [Zone(str(n), 0, 0, 1, 1) for n in range(MAX_ZONES + 1)]
    assert len(make_watch(zones[:-1], None).zones) == MAX_ZONES
    with pytest.raises(UserError, match="there are 17 zones; the most is 16"):
        make_watch(zones, None)
    with pytest.raises(UserError, match="two zones are named 1"):
        make_watch([zones[1], zones[1]], None)


def test_the_alarm_is_of_the_zone_that_is_near_or_of_the_picture() -> None:
    depth = np.array([[0.5, 2.0], [0.7, np.nan]], np.float32)
    near, far = Zone("near", 0, 0, 0.5, 1), Zone("far", 0.5, 0, 0.5, 1)
    found = Watch((near, far), 1.0).measure(depth, Scale())
    assert ([zone["alarm"] for zone in found["zones"]], found["alarm"]) == ([True, False], True)
    assert not Watch((far,), 1.0).measure(depth, Scale())["alarm"]
    assert Watch((), 1.0).measure(depth, Scale())["alarm"]
    assert not Watch((), 0.5).measure(depth, Scale())["alarm"]
    (unknown,) = Watch((Zone("u", 0.5, 0.5, 0.5, 0.5),), 1.0).measure(depth, Scale())["zones"]
    assert (unknown["nearest"], unknown["median"], unknown["alarm"]) == (None, None, False)


def test_the_nearest_of_inverse_depth_is_the_largest() -> None:
    depth = np.array([[0.5, 2.0]], np.float32)
    scale = Scale(relative=True, inverse=True)
    (found,) = Watch((Zone("z", 0, 0, 1, 1),)).measure(depth, scale)["zones"]
    assert found["nearest"] == 2.0


def test_what_is_posted_is_taken() -> None:
    watch = parse_posted(json.dumps({"zones": [DOOR], "alarm": 1}).encode(), relative=False)
    assert watch == Watch((Zone("door", 0, 0, 0.5, 1),), 1.0)
    assert parse_posted(b'{"zones": []}', relative=True) == Watch()


def test_anything_else_that_is_posted_is_refused_in_one_line() -> None:
    whole = json.dumps({"zones": [DOOR], "alarm": 1.5})
    odd = [None, True, "x", [], {}, -1, 1e400, 2**70, [[[]]], "\ud800", "NaN"]
    texts = [b"", b"\xff", b"[" * 10_000, b'{"zones": 1', b'{"zones": [1]}', b"null"]
    for seed in range(300):
        draw = random.Random(seed)
        posted = json.loads(whole)
        target = draw.choice([posted, posted["zones"][0]])
        target[draw.choice(list(target))] = draw.choice(odd)
        texts.append(json.dumps(posted).encode())
        texts.append(whole[: draw.randrange(len(whole))].encode())
    refused = 0
    for text in texts:
        try:
            make_watch(parse_posted(text, relative=False).zones, None)
        except UserError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 0.7 * len(texts)

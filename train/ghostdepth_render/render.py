"""Renders the sample set: photos with exact depth of rooms that exist only here.

    python3.11 -m venv .cache/bpy && .cache/bpy/bin/pip install bpy==4.5.15 opencv-python-headless
    .cache/bpy/bin/python train/ghostdepth_render/render.py --out samples

One CPU thread, about 20 seconds a frame. Each frame follows from its name and the seed alone;
finished frames are skipped, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

FRAMES = {"bedroom": 9, "living": 11, "kitchen": 8, "office": 9, "corridor": 5, "bathroom": 6}
# Rooms that came out dull with the first draw; the number says which draw to begin with.
TAKES = {"bedroom_03": 1, "bedroom_09": 1, "kitchen_08": 1, "bathroom_03": 1, "bathroom_04": 1}
SAMPLES = 6
MAX_JPEG_BYTES = 46_000
INSTALL = "pip install bpy==4.5.15 opencv-python-headless (needs Python 3.11)"


def frame_names() -> list[str]:
    """Names of all frames, such as bedroom_01."""
    return [f"{kind}_{i:02d}" for kind, count in FRAMES.items() for i in range(1, count + 1)]


def render_frame(name: str, seed: int, out: Path) -> dict[str, Any]:
    """Builds the room `name` of `seed` and renders it into `out`.

    Returns:
        The frame's record for scenes.json (see samples/README.md).
    """
    import cv2
    import numpy as np
    from scene import camera, cycles, layouts, photo

    first = TAKES.get(name, 0) if seed == 0 else 0
    for attempt in range(first, first + 20):
        rng = random.Random(f"{seed}/{name}/{attempt}")
        cycles.empty_scene()
        room = layouts.build(name.split("_", maxsplit=1)[0], rng)
        try:
            view = camera.choose(room, rng)
            break
        except RuntimeError:
            continue
    else:
        raise SystemExit(f"{name}: no acceptable view in 20 rooms; try another --seed")
    camera.install(view)
    cycles.outdoor_strength(rng.uniform(4.0, 10.0) if room.daylight else 0.02)
    depth = cycles.render_depth()
    light = cycles.render_light(SAMPLES)
    generator = np.random.default_rng(rng.getrandbits(64))
    picture = photo.develop(light, generator, rng.uniform(*room.brightness))
    millimetres = np.where(np.isfinite(depth), np.rint(depth * 1000), 0).clip(0, 65535)
    _write(out / "depth" / f"{name}.png", _png(millimetres.astype(np.uint16)))
    _write(out / "rgb" / f"{name}.jpg", _jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)))
    # From Blender's camera axes (y up, looks along -z) to the usual ones (y down, z forward).
    pose = np.array(view.matrix) @ np.diag([1.0, -1.0, -1.0, 1.0])
    return {
        "camera_to_world": [[round(float(v), 9) for v in row] for row in pose],
        "room_size": [round(v, 9) for v in (room.w, room.d, room.h)],
    }


def _png(image: Any) -> bytes:
    """Packs HxW uint16 without loss."""
    import cv2

    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def _jpeg(image: Any) -> bytes:
    """Packs BGR uint8 at the best quality that stays under MAX_JPEG_BYTES."""
    import cv2

    data = b""
    for quality in range(93, 60, -3):
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        data = cv2.imencode(".jpg", image, options)[1].tobytes()
        if len(data) <= MAX_JPEG_BYTES:
            break
    return data


def _write(target: Path, data: bytes) -> None:
    """Writes through a temporary name, so that `target` is never half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=target.suffix)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _record(out: Path, frames: dict[str, Any], seed: int) -> None:
    camera = {"fx": 520.0, "fy": 520.0, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
    ordered = {name: frames[name] for name in sorted(frames)}
    lines = ",\n".join(f"    {json.dumps(n)}: {json.dumps(f)}" for n, f in ordered.items())
    text = (
        f'{{\n  "seed": {seed},\n  "camera": {json.dumps(camera)},\n'
        f'  "frames": {{\n{lines}\n  }}\n}}\n'
    )
    _write(out / "scenes.json", text.encode())


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--only", action="append", metavar="NAME", help="just this frame; repeats")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other rooms")
    options = parser.parse_args()
    names = options.only or frame_names()
    unknown = sorted(set(names) - set(frame_names()))
    if unknown:
        print(
            f"no frame is called {unknown[0]}; names run like {frame_names()[0]}", file=sys.stderr
        )
        return 2
    for module in ("bpy", "cv2"):
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed: {INSTALL}", file=sys.stderr)
            return 2
    try:
        return _render(names, options.seed, options.out)
    except OSError as error:
        print(
            f"cannot write {error.filename or options.out}: {error.strerror or error}; "
            "check free space and permissions",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def _render(names: list[str], seed: int, out: Path) -> int:
    """Renders those of `names` that are not finished."""
    scenes = out / "scenes.json"
    known: dict[str, Any] = {"seed": seed, "frames": {}}
    if scenes.is_file():
        known = json.loads(scenes.read_text())
    if known["seed"] != seed:
        print(
            f"{scenes} is of seed {known['seed']}, not {seed}; use another --out", file=sys.stderr
        )
        return 2
    for i, name in enumerate(names, 1):
        files = (out / "rgb" / f"{name}.jpg", out / "depth" / f"{name}.png")
        if name in known["frames"] and all(file.is_file() for file in files):
            continue
        print(f"[{i}/{len(names)}] {name}", file=sys.stderr)
        known["frames"][name] = render_frame(name, seed, out)
        _record(out, known["frames"], seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

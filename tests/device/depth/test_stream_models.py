"""A model that carries a state: when it continues, when it starts anew, and when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.continuity import GAP, Continuity
from bench_depth.depth.model import DepthModel
from bench_depth.live.source.sources import Pictures
from bench_depth.model.contract import ModelContract, StateTensor
from bench_depth.model.runtimes import choose

from tests.device.conftest import HEIGHT, WIDTH, _with_contract, converted, remembered

STATE = StateTensor("", "", (1, 2, 3, 4), "float32")
GREY = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
WHITE = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
MakeStream = Callable[..., Path]


def _tflite() -> bytes:
    import tensorflow as tf

    class Tiny(tf.Module):
        """Every frame is a metre farther than the one before."""

        @tf.function(
            input_signature=[
                tf.TensorSpec((1, HEIGHT, WIDTH, 3), name="picture"),
                tf.TensorSpec(STATE.shape, name="memory"),
            ]
        )
        def run(self, picture: Any, memory: Any) -> Any:
            depth = tf.reduce_mean(picture, -1, keepdims=True) / 100.0 + tf.reduce_max(memory)
            return depth, memory + 1.0

    return converted(Tiny())


@pytest.fixture
def make_stream(contract: ModelContract, tmp_path: Path, make_tflite: Any) -> MakeStream:
    """Writes the tiny model with a state, which the contract names with changes."""

    def make(**changes: Any) -> Path:
        path, data = tmp_path / "stream.tflite", remembered("stream", _tflite)
        path.write_bytes(data)
        model = choose(path).load(path, threads=1)
        names = [
            next(spec.name for spec in specs if spec.shape == STATE.shape)
            for specs in (model.inputs, model.outputs)
        ]
        state = replace(STATE, input=names[0], output=names[1])
        text = replace(contract, state=replace(state, **changes)).to_json()
        path.write_bytes(remembered(("stream", text), lambda: _with_contract(data, text)))
        return path

    return make


def level(model: DepthModel, photo: np.ndarray, captured: float | None = None) -> float:
    """The depth of a picture of one grey, less the grey: the number of frames before it."""
    at = None if captured is None else round(captured * 1e9)
    return float(model.follow(photo, at).depth[0, 0]) - photo[0, 0, 0] / 100


def test_frames_go_on_and_cuts_gaps_and_photos_start_anew(make_stream: MakeStream) -> None:
    model = DepthModel(make_stream())
    assert [round(level(model, GREY)) for _ in range(3)] == [0, 1, 2]
    assert [round(level(model, photo)) for photo in (WHITE, WHITE, GREY)] == [0, 1, 0]
    times = (0.0, 0.1, 0.1 + GAP * 0.9, 0.2 + GAP * 2)
    assert [round(level(model, GREY, at)) for at in times] == [1, 2, 3, 0]
    assert [round(float(model(GREY)[0, 0]), 3) for _ in range(2)] == [1, 1]
    assert round(level(model, GREY)) == 0
    model.reset()
    assert round(level(model, GREY)) == 0


def test_the_frames_of_a_source_go_on(
    make_stream: MakeStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pictures, "interval", 0.3)
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), GREY)
    model = DepthModel(make_stream())
    depths = [depth[0, 0] for _, _, depth in model.stream(str(tmp_path))]
    assert len(depths) > 1
    assert depths == sorted(set(depths))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"shape": (1, 2, 3, 5)}, "as 1x2x3x4 float32; its contract says 1x2x3x5 float32"),
        ({"dtype": "int8"}, "as 1x2x3x4 float32; its contract says 1x2x3x4 int8"),
        ({"input": "rgb"}, "has no input rgb; its contract says one"),
        ({"output": "memory"}, "has no output memory"),
    ],
)
def test_a_state_that_is_not_as_the_contract_says_is_one_line(
    make_stream: MakeStream, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line) as caught:
        DepthModel(make_stream(**changes))
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


@pytest.mark.same_everywhere
def test_the_contract_of_a_model_without_a_state_has_no_field_for_it(
    contract: ModelContract,
) -> None:
    assert "state" not in contract.to_json()
    carrying = replace(contract, state=STATE)
    assert ModelContract.from_json(carrying.to_json()) == carrying


@pytest.mark.same_everywhere
def test_noise_and_motion_are_no_cut_and_another_scene_is_one() -> None:
    rng = np.random.default_rng(0)
    scene, other = (
        cv2.resize(rng.integers(0, 256, (6, 8, 1), np.uint8), (WIDTH * 4, HEIGHT * 4))[
            ..., None
        ].repeat(3, 2)
        for _ in range(2)
    )
    noisy = np.clip(scene + rng.normal(0, 20, scene.shape), 0, 255).astype(np.uint8)
    found = Continuity()
    moved = np.roll(scene, 4, 1)
    views = [scene, noisy, moved, scene, other]
    assert [found.follows(view) for view in views] == [False, True, True, True, False]

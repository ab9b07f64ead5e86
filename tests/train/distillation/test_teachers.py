"""Teachers and ensembles of them: what they say, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.errors import WARNED, UserError
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import NetworkConfig, load_train_config
from ghostdepth_train.distillation import Teacher, TeacherLabels, load_teacher
from ghostdepth_train.distillation.ensemble import DISAGREEMENT_SCALE, Ensemble
from ghostdepth_train.distillation.labelling import label_images
from ghostdepth_train.distillation.labels import metric_labels
from ghostdepth_train.evaluate import predict_mm
from ghostdepth_train.models.network import DepthNet, normaliser, resize
from torch import Tensor, nn

from tests.device.onnx_files import onnx_bytes
from tests.train.making import metres, rng

HEIGHT, WIDTH = 24, 32
# Of red, green and blue: different, so that a wrong order shows.
WEIGHTS = (0.006, 0.003, 0.001)


def photos(count: int = 2, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=rng())


def checkpoint(folder: Path, seed: int = 0, encoding: str = "log") -> Path:
    torch.manual_seed(seed)
    config = load_train_config("tiny").network.model_dump() | {"depth_encoding": encoding}
    network = DepthNet(NetworkConfig.model_validate(config)).eval()
    nn.init.normal_(network.head.weight, std=0.1)
    save_checkpoint(folder, network, name="own", training_data="none", metrics={})
    return folder


@pytest.mark.parametrize("encoding", ["log", "inverse"])
def test_our_own_network_says_what_the_exported_graph_says(encoding: str, tmp_path: Path) -> None:
    teacher = load_teacher(str(checkpoint(tmp_path, encoding=encoding)))
    rgb = photos(3, (120, 150))
    labels = teacher(rgb)
    for photo, log_depth in zip(rgb, labels.log_depth, strict=True):
        expected = predict_mm(teacher.network, photo.permute(1, 2, 0).numpy())  # type: ignore[attr-defined]
        shown = resize(log_depth[None].exp(), 120, 150)[0, 0].numpy() * 1000
        np.testing.assert_allclose(shown, expected, rtol=1e-4)


def test_our_own_network_shows_its_encoders_maps(tmp_path: Path) -> None:
    teacher = load_teacher(str(checkpoint(tmp_path)))
    network: DepthNet = teacher.network  # type: ignore[attr-defined]
    size = network.config.input_size
    rgb = photos(1, size)
    expected = network.encoder(normaliser(network.config)(rgb))
    features = teacher(rgb).features
    assert teacher.channels == {stride: f.shape[1] for stride, f in features.items()}
    assert [size[0] // f.shape[2] for f in features.values()] == [*features] == [2, 4, 8, 16, 32]
    for mine, its in zip(features.values(), expected, strict=True):
        torch.testing.assert_close(mine, its)


def test_a_teacher_neither_learns_nor_changes_what_the_caller_draws(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    teacher = load_teacher(str(folder))
    assert torch.equal(torch.rand(3), expected)
    assert not any(p.requires_grad for p in teacher.network.parameters())  # type: ignore[attr-defined]
    labels = teacher(photos().float().requires_grad_())
    assert not labels.log_depth.requires_grad
    assert torch.equal(labels.log_depth, teacher(photos()).log_depth)


def test_a_teacher_that_gives_nan_is_an_error(tmp_path: Path) -> None:
    teacher = load_teacher(str(checkpoint(tmp_path)))
    teacher.network.head.bias.fill_(torch.nan)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="own gives NaN"):
        teacher(photos())


def onnx_file(path: Path, weights: np.ndarray, *, pool: bool = False, bias: float = 0.5) -> Path:
    """Weights KxCx1x1 over the pixels as a graph 1x3xHxW -> 1xKxHxW, or 1xK when pooled."""
    from onnx import helper

    channels = len(weights)
    nodes = [helper.make_node("Conv", ["rgb", "weights", "bias"], ["map" if pool else "out"])]
    if pool:
        nodes.append(helper.make_node("ReduceMean", ["map", "axes"], ["out"], keepdims=0))
    shape = (1, channels) if pool else (1, channels, HEIGHT, WIDTH)
    constants = {"weights": weights.astype(np.float32), "axes": [2, 3]}
    constants["bias"] = np.full(channels, bias, np.float32)
    path.write_bytes(onnx_bytes(nodes, {"rgb": (1, 3, HEIGHT, WIDTH)}, {"out": shape}, constants))
    return path


def depth_file(path: Path, **sidecar: object) -> Path:
    onnx_file(path, np.array(WEIGHTS).reshape(1, 3, 1, 1))
    if sidecar:
        path.with_suffix(".json").write_text(
            json.dumps({"schema": "bench-depth-model/1"} | sidecar)
        )
    return path


def network_output(rgb: Tensor) -> Tensor:
    return (rgb.float() * torch.tensor(WEIGHTS).view(1, 3, 1, 1)).sum(1, keepdim=True) + 0.5


def test_a_file_in_metres_gives_log_depth_of_the_photos_size(tmp_path: Path) -> None:
    teacher = load_teacher(str(depth_file(tmp_path / "m.onnx")))
    assert teacher.quantity == "metric"
    assert teacher.channels == teacher(photos()).features == {}
    torch.testing.assert_close(teacher(photos()).log_depth.exp(), network_output(photos()))
    large = photos(1, (2 * HEIGHT, 2 * WIDTH))
    small = cv2.resize(large[0].permute(1, 2, 0).numpy(), (WIDTH, HEIGHT))
    expected = network_output(torch.from_numpy(small).permute(2, 0, 1)[None])
    shown = cv2.resize(expected[0, 0].numpy(), (2 * WIDTH, 2 * HEIGHT))
    np.testing.assert_allclose(teacher(large).log_depth.exp()[0, 0], shown, rtol=1e-5)


def test_what_is_assumed_of_a_file_that_nothing_describes_is_said(tmp_path: Path) -> None:
    plain = str(depth_file(tmp_path / "m.onnx"))
    described = str(depth_file(tmp_path / "d.onnx", unit="m"))
    assert not load_teacher(described).warnings
    for teacher in (load_teacher(plain), load_teacher([described, plain])):
        assert list(teacher.warnings) == ["no-contract"]
        assert "m.onnx: the file does not describe" in teacher.warnings["no-contract"]


def test_labels_of_a_teacher_of_which_all_is_assumed_are_warned_of_or_refused(
    tmp_path: Path,
) -> None:
    teacher, said = load_teacher(str(depth_file(tmp_path / "m.onnx"))), []
    label_images(teacher, [], tmp_path / "out", log=said.append)
    assert said == list(teacher.warnings.values())
    with pytest.raises(UserError, match="no-contract") as refused:
        label_images(teacher, [], tmp_path / "strict", strict=True)
    assert refused.value.exit_code == WARNED and not (tmp_path / "strict").exists()


@pytest.mark.parametrize("quantity", ["inverse-depth", "depth"])
def test_a_file_described_as_relative_gives_inverse_depth(quantity: str, tmp_path: Path) -> None:
    path = depth_file(tmp_path / "m.onnx", quantity=quantity, unit="relative")
    teacher = load_teacher(str(path))
    assert teacher.quantity == teacher(photos()).quantity == "relative-inverse"
    expected = network_output(photos())
    expected = expected if quantity == "inverse-depth" else 1 / expected
    torch.testing.assert_close(teacher(photos()).values, expected)


def test_depth_of_nothing_gets_no_confidence(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", np.array(WEIGHTS).reshape(1, 3, 1, 1), bias=-1.2)
    labels = load_teacher(str(path))(photos())
    known = network_output(photos()) - 1.7 > 0
    assert 0 < known.float().mean() < 1
    torch.testing.assert_close(labels.weight, known.float())
    assert labels.log_depth.isfinite().all()


@pytest.mark.parametrize(("channels", "pool"), [(10, True), (21, False)])
def test_a_file_of_another_task_is_refused_in_a_line(
    channels: int, pool: bool, tmp_path: Path
) -> None:
    weights = np.ones((channels, 3, 1, 1))
    path = onnx_file(tmp_path / "classes.onnx", weights, pool=pool)
    with pytest.raises(UserError, match="expected one depth map") as error:
        load_teacher(str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nothing", "unknown teacher 'nothing': neither a checkpoint folder"),
        ("missing.onnx", "cannot read missing.onnx"),
        (".", "not a checkpoint folder"),
        ([], "no teacher was named"),
    ],
)
def test_an_unknown_teacher_is_an_error(
    spec: str | list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        load_teacher(spec)


class FixedTeacher(Teacher):
    """Returns fixed labels."""

    def __init__(self, labels: TeacherLabels) -> None:
        self.labels, self.quantity = labels, labels.quantity
        self.name = self.identity = labels.quantity

    def __call__(self, rgb: Tensor) -> TeacherLabels:
        return self.labels


def test_an_ensemble_says_the_mean_of_log_depth_and_doubts_where_its_members_disagree() -> None:
    depths = [metres(seed) for seed in range(3)]
    labels = Ensemble([FixedTeacher(metric_labels(d)) for d in depths])(photos())
    logs = np.log(np.stack([d.numpy() for d in depths]))
    np.testing.assert_allclose(labels.log_depth, logs.mean(0), rtol=1e-5)
    assert labels.confidence is not None
    np.testing.assert_allclose(
        labels.confidence, np.exp(-logs.std(0) / DISAGREEMENT_SCALE), rtol=1e-4
    )


def test_members_that_know_nothing_of_a_pixel_do_not_count_there() -> None:
    first, second = metres(0), metres(0)
    second[..., :2] = 0
    labels = Ensemble([FixedTeacher(metric_labels(first)), FixedTeacher(metric_labels(second))])(
        photos()
    )
    torch.testing.assert_close(labels.log_depth, first.log())
    expected = torch.where(second > 0, 1.0, 0.5)
    torch.testing.assert_close(labels.weight, expected, rtol=1e-3, atol=1e-3)


def test_a_relative_member_is_aligned_to_the_metric_ones() -> None:
    depth = metres(0)
    relative = TeacherLabels(7 / depth + 3, "relative-inverse")
    labels = Ensemble([FixedTeacher(relative), FixedTeacher(metric_labels(depth))])(photos())
    torch.testing.assert_close(labels.log_depth, depth.log())
    torch.testing.assert_close(labels.weight, torch.ones_like(depth), rtol=0, atol=1e-4)


def test_members_of_different_sizes_meet_at_the_largest() -> None:
    flat = [metric_labels(torch.full((1, 1, *size), 2.0)) for size in ((3, 4), (6, 8), (5, 5))]
    labels = Ensemble([FixedTeacher(one) for one in flat])(photos())
    assert labels.log_depth.shape == (1, 1, 6, 8)
    torch.testing.assert_close(labels.log_depth.exp(), torch.full((1, 1, 6, 8), 2.0))


def test_an_ensemble_without_a_scale_is_refused(tmp_path: Path) -> None:
    path = depth_file(tmp_path / "m.onnx", quantity="inverse-depth")
    with pytest.raises(UserError, match="add a metric one"):
        load_teacher([str(path), str(path)])


def test_several_names_make_an_ensemble_that_names_them_all(tmp_path: Path) -> None:
    folders = [str(checkpoint(tmp_path / str(seed), seed)) for seed in range(2)]
    members = [load_teacher(folder) for folder in folders]
    assert members[0].identity != members[1].identity
    ensemble = load_teacher(folders)
    assert ensemble.identity == f"{members[0].identity} + {members[1].identity}"


def test_resizing_labels_does_not_mix_in_what_is_unknown() -> None:
    depth = metres(0).fill_(5.0)
    depth[..., ::3] = 0
    labels = metric_labels(depth).resized(15, 20)
    known = labels.weight > 0.01
    torch.testing.assert_close(labels.log_depth[known].exp(), torch.full((int(known.sum()),), 5.0))

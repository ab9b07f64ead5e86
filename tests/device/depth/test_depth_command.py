"""`bench-depth depth`: what it writes, what it keeps, and what a mistake looks like."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import read_depth
from bench_depth.core.errors import WARNED
from bench_depth.depth import run
from bench_depth.depth.inputs import find_inputs
from bench_depth.depth.model import DepthModel
from bench_depth.depth.outputs import OutputOptions

from tests.device.conftest import HEIGHT, WIDTH, OnnxMaker, main, tiny_depth


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for name in ("a.png", "rooms/b.jpg", "rooms/deep er/ü.png", ".hidden/c.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def test_every_format_holds_the_same_depth(tiny_tflite: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["depth", str(photos / "a.png"), "--model", str(tiny_tflite), "--out", str(out)]
    for name in ("colour", "mm", "npy", "ply"):
        words += ["--format", name]
    assert main(words) == 0
    image = cv2.imread(str(photos / "a.png"))[..., ::-1]
    expected = tiny_depth(image[np.newaxis])
    depth = np.load(out / "a.npy")
    np.testing.assert_allclose(depth, expected, rtol=1e-5)
    np.testing.assert_array_equal(read_depth(out / "a-mm.png"), np.rint(depth * 1000.0))
    head, _, body = (out / "a.ply").read_bytes().partition(b"end_header\n")
    assert f"element vertex {HEIGHT * WIDTH}\n".encode() in head
    vertex = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_array_equal(vertex["xyz"][:, 2], depth.ravel())
    np.testing.assert_array_equal(vertex["rgb"], image.reshape(-1, 3))
    colour = cv2.imread(str(out / "a-depth.png"))
    assert colour.shape[0] == HEIGHT and colour.shape[1] > WIDTH


def test_folders_are_searched_to_any_depth_and_mirrored(
    tiny_tflite: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["depth", str(photos), "--model", str(tiny_tflite), "--out", str(out)]) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert written == ["a-depth.png", "rooms/b-depth.png", "rooms/deep er/ü-depth.png"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("nearest" in line and "median" in line and " m" in line for line in lines)


def test_without_out_the_result_lies_beside_the_image(tiny_tflite: Path, photos: Path) -> None:
    assert main(["depth", str(photos / "a.png"), "--model", str(tiny_tflite)]) == 0
    assert (photos / "a-depth.png").is_file()


def test_results_beside_the_images_are_no_images_of_a_second_run(
    tiny_tflite: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "b-depth.png").write_bytes((photos / "a.png").read_bytes())
    words = ["depth", str(photos), "--model", str(tiny_tflite), "--format", "colour"]
    assert main([*words, "--format", "mm"]) == 0
    files = sorted(photos.rglob("*"))
    capsys.readouterr()
    assert main(words) == 0
    assert sorted(photos.rglob("*")) == files
    # The picture that is called like a result, but of nothing, is one of the images.
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_what_exists_is_made_again_only_when_asked(
    tiny_tflite: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["depth", str(photos / "a.png"), "--model", str(tiny_tflite), "--out", str(out)]
    (out).mkdir()
    (out / "a-depth.png").write_text("old")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"]
    assert (out / "a-depth.png").read_text() == "old"
    assert main([*words, "--overwrite", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert not done["skipped"] and done["unit"] == "m"
    depth = tiny_depth(cv2.imread(str(photos / "a.png"))[np.newaxis])
    figures = [done["nearest"], done["median"], done["farthest"]]
    np.testing.assert_allclose(figures, [depth.min(), np.median(depth), depth.max()], atol=1e-3)


@pytest.mark.parametrize("kind", ["npy", "mm"])
def test_the_distances_of_what_exists_are_those_of_its_file(
    kind: str, tiny_tflite: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["depth", str(photos / "a.png"), "--model", str(tiny_tflite), "--out", str(out)]
    words += ["--json", "--format", kind]
    assert main(words) == main(words) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert second["skipped"] and second["files"] == first["files"]
    names = ("nearest", "median", "farthest")
    np.testing.assert_allclose(
        *([done[name] for name in names] for done in (first, second)), atol=2e-3
    )
    (path,) = out.iterdir()
    path.write_bytes(b"damaged")
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["nearest"] is None


def test_a_damaged_image_among_good_ones_costs_only_itself(
    tiny_tflite: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out"
    assert main(["depth", str(photos), "--model", str(tiny_tflite), "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "broken.jpg" in line
    assert len(list(out.rglob("*-depth.png"))) == 3


@pytest.mark.parametrize("length", [252, 253, 255])
def test_a_name_that_is_too_long_with_its_ending_costs_only_its_image(
    tiny_tflite: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    length: int,
) -> None:
    long = photos / f"{'a' * (length - 4)}.png"
    long.write_bytes((photos / "a.png").read_bytes())
    out = tmp_path / "out"
    words = ["depth", str(photos), "--model", str(tiny_tflite), "--out", str(out)]
    assert main(words) == 1
    assert sorted(path.name for path in out.rglob("*.png")) == [
        "a-depth.png",
        "b-depth.png",
        "ü-depth.png",
    ]
    assert "too long with the ending of a result; rename it" in capsys.readouterr().err


def test_inputs_are_reported_in_their_order_once_written(
    tiny_tflite: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, reported = set(), []

    def write(found: dict[str, Path], *_: object) -> None:
        # The first takes longest.
        time.sleep(0 if written else 0.2)
        written.update(map(str, found.values()))

    def on_done(done: run.Done) -> None:
        assert written.issuperset(done.files)
        reported.append(done.source)

    monkeypatch.setattr(run, "write_image", write)
    inputs = find_inputs([str(photos)])
    run.run(DepthModel(tiny_tflite), inputs, tmp_path, OutputOptions(), True, on_done)
    assert reported == [one.source for one in inputs]


def test_a_video_becomes_a_coloured_video_with_its_scale(tiny_tflite: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (WIDTH, HEIGHT))
    for level in range(0, 250, 25):
        writer.write(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    writer.release()
    out = tmp_path / "out"
    assert main(["depth", str(path), "--model", str(tiny_tflite), "--out", str(out)]) == 0
    video = cv2.VideoCapture(str(out / "clip-depth.mp4"))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (10, 5)
    frame = video.read()[1]
    assert frame.shape == (HEIGHT, WIDTH + 76, 3)
    bar = frame[:, WIDTH + 8 : WIDTH + 20].astype(int)
    assert bar[2].sum() > 1.3 * bar[-3].sum(), "from light, which is near, to dark"


def test_inputs_that_differ_in_their_suffix_alone_keep_it(
    tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "phone", tmp_path / "out"
    folder.mkdir()
    for name in ("1.bmp", "1.png", "2.png", "3.png"):
        cv2.imwrite(str(folder / name), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (folder / "3.mov").write_bytes(b"\0\0\0\x14ftypqt  nothing")
    assert main(["depth", str(folder), "--model", str(tiny_tflite), "--out", str(out)]) == 1
    names = ["1.bmp", "1.png", "2", "3.png"]
    assert sorted(path.name for path in out.iterdir()) == [f"{name}-depth.png" for name in names]
    assert sum("3.mov" in line for line in capsys.readouterr().err.splitlines()) == 1


def test_of_a_truncated_video_the_frames_before_are_kept(
    tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (WIDTH, HEIGHT))
    noise = np.random.default_rng(0)
    for _ in range(20):
        writer.write(noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    out = tmp_path / "out"
    assert main(["depth", str(path), "--model", str(tiny_tflite), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert f"of 20; it is truncated or damaged; the frames before are in {out}" in said.err
    assert "clip.avi: nearest" in said.out
    video = cv2.VideoCapture(str(out / "clip-depth.mp4"))
    assert 0 < video.get(cv2.CAP_PROP_FRAME_COUNT) < 20
    assert len(list(out.rglob("*"))) == 1, "no temporary file is left"


def test_relative_depth_says_so(
    tiny_tflite: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["depth", str(photos / "a.png"), "--model", str(tiny_tflite), "--out", str(tmp_path)]
    words += ["--quantity", "inverse-depth"]
    assert main(words) == 0
    assert "relative depth" in capsys.readouterr().out
    assert main([*words, "--format", "mm"]) == 2
    assert "relative depth, which has no metres" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing.jpg"], 2, "there is no image, video or folder nothing.jpg"),
        (["EMPTY"], 2, "holds no image and no video"),
        (["a/x.png", "b/x.png"], 2, "would both give results called x"),
        (["a/x.png", "--range", "2", "2"], 2, "two different depths"),
        (["a/x.png", "--colour-map", "gold"], 2, "unknown colour map 'gold'"),
        (["a/x.png", "--colour-map", "trubo"], 2, "did you mean turbo?"),
        (["a/x.png", "--hfov", "200", "--format", "ply"], 2, "field of view of 200"),
        (["a/x.png", "--threads", "0"], 2, "--threads 0"),
        (["a/x.png", "--out", "a/x.png"], 2, "cannot write"),
        (["a/x.png", "--model", "no-such"], 2, "there is no model 'no-such'"),
        (["m.tflite"], 2, "ghostdepth latency"),
        (["notes.txt"], 1, "notes.txt is neither an image nor a video"),
        ([""], 2, "a source is empty"),
        (["a/x.png", "--range", "nan", "2"], 2, "--range nan is impossible"),
        (["folder.jpg"], 2, "folder.jpg holds no image and no video"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str],
    code: int,
    said: str,
    tiny_tflite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.png", "b/x.png"):
        Path(name).parent.mkdir()
        cv2.imwrite(name, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    Path("EMPTY").mkdir()
    Path("folder.jpg").mkdir()
    Path("notes.txt").write_text("no image")
    assert main(["depth", "--model", str(tiny_tflite), "--unit", "m", *words]) == code
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("bench-depth: ")]
    assert len(lines) == 1 and said in lines[0]


@pytest.mark.same_everywhere
def test_an_unknown_option_is_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["depth", "a.jpg", "--colormap", "jet"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--colormap jet; did you mean --colour-map?" in line


def test_a_model_that_nothing_describes_is_a_warning(
    make_onnx: OnnxMaker, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_onnx(tmp_path / "plain.onnx")
    words = ["depth", str(photos / "a.png"), "--model", str(model), "--out", str(tmp_path)]
    words += ["--strict"]
    assert main([*words, "--hfov", "60"]) == WARNED
    assert "plain.onnx: the file does not describe its input" in capsys.readouterr().err
    assert main([*words, "--unit", "m"]) == 0
    assert "does not describe" not in capsys.readouterr().err


def test_strict_fails_on_depth_that_is_implausible(
    tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    words = ["depth", str(tmp_path), "--model", str(tiny_tflite), "--unit", "m"]
    assert main(words) == 0
    assert "the same depth for every pixel" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--strict"]) == WARNED
    assert "--strict: there are warnings: output-constant" in capsys.readouterr().err
    assert (tmp_path / "grey-depth.png").is_file()

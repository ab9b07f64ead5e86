"""The demo's page: figures, pictures, plot, and that it needs nothing beside itself."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from bench_depth.accuracy.records import Accuracy, ImageAccuracy
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import DepthMetrics, score
from bench_depth.machine.board import Board, Health
from bench_depth.model.contract import ModelContract
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import Context, ModelRecord, Results, RuntimeRecord
from bench_depth.timing.measure import Timing, summarize
from ghostdepth_export.pages import pictures
from ghostdepth_export.pages.plot import Point, accuracy_plot
from ghostdepth_export.pages.plot_labels import place_labels
from ghostdepth_export.pages.report import render, write_report
from ghostdepth_export.pages.scenes import Scene, read_scenes
from matplotlib.transforms import Bbox

VOID = {"meta", "img", "br", "link", "hr", "input"}
HEIGHT, WIDTH = 48, 64
# Format, bytes, milliseconds of each run, RMSE, si-RMSE, delta_1.
MODELS = (
    ("fp32.tflite", 10_412_345, (20, 21, 22, 23, 30), 0.5011, 0.20417, 0.6212),
    ("fp16.tflite", 5_234_567, (21, 22, 23, 24, 31), 0.5012, 0.20418, 0.6211),
    ("dynamic.tflite", 2_912_345, (31, 32, 33, 34, 41), 0.5031, 0.20533, 0.6187),
    ("int8.tflite", 2_881_234, (12, 13, 14, 15, 19), 0.5102, 0.20901, 0.6099),
    ("fp32.onnx", 10_512_345, (19, 20, 21, 22, 29), 0.5011, 0.20417, 0.6212),
    ("int8.onnx", 3_112_345, (15, 16, 17, 18, 25), 0.5125, 0.21011, 0.6055),
)
HEALTH = Health(None, None, None)


def contract(variant: str) -> ModelContract:
    return ModelContract(
        name="ghost-toy",
        variant=variant,
        input_height=480,
        input_width=640,
        input_dtype="float32",
        input_layout="NHWC",
        input_color="RGB",
        input_range=(0, 255),
        output_height=480,
        output_width=640,
        output_dtype="float32",
        output_layout="NHWC",
        output_quantity="depth",
        output_unit="m",
        output_range=(0.3, 12.0),
        minimum_runtime="2.3.0",
        checkpoint_sha256="ab" * 32,
        training_data="nothing",
        metrics={},
        created_by="a test",
    )


def timing(milliseconds: tuple[int, ...]) -> Timing:
    times = [ms * 1_000_000 for ms in milliseconds]
    return Timing(times, summarize(times))


def record(
    kind: str, size: int, ms: tuple[int, ...], rmse: float, si_rmse: float, delta_1: float
) -> ModelRecord:
    metrics = DepthMetrics(rmse, si_rmse, 0.1, 0.2, delta_1, 0.8, 0.9)
    images = [
        ImageAccuracy(name, dataclasses.replace(metrics, si_rmse=si_rmse + offset))
        for name, offset in (("room_01", -0.05), ("room_02", 0.05))
    ]
    suffix = Path(kind).suffix
    return ModelRecord(
        file=f"ghost-toy-{kind}",
        bytes=size,
        sha256="cd" * 32,
        contract=contract(Path(kind).stem),
        runtime=RuntimeRecord("runtime_a", "2.1.0", True if suffix == ".tflite" else None),
        input="1x480x640x3 float32",
        output="1x480x640x1 float32",
        load_ms=1.0,
        first_ms=30.0,
        preprocess=timing((1,)),
        invoke=timing(ms),
        postprocess=timing((1,)),
        peak_rss_bytes=10**8,
        before=HEALTH,
        after=HEALTH,
        accuracy=Accuracy(
            "drawn", "none", metrics, score(si_rmse, summarize([ms[2] * 10**6]).median), images, []
        ),
        warnings=["noisy"] if kind == "dynamic.tflite" else [],
    )


@pytest.fixture(scope="module")
def results() -> Results:
    board = Board(None, "Test CPU 9000", 2, "x86_64", "Some Linux", None, None, False)
    context = Context(
        "2026-03-04T05:06:07+00:00", "bench-depth 9.9", None, "3.11", board, 2, 5, 50, 5.0
    )
    return Results(context, [record(*row) for row in MODELS])


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(0)
    made = []
    for name in ("room_01", "room_02"):
        truth = np.linspace(900, 4000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
        truth[:8, :8] = 0
        photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        depths = {
            f"ghost-toy-{kind}": (truth * 1.1).astype(np.uint16)
            for kind in ("fp32.tflite", "int8.tflite")
        }
        made.append(Scene(name, photo, truth, depths))
    return made


@pytest.fixture(scope="module")
def html(results: Results, scenes: list[Scene]) -> str:
    return render(results, scenes)


class Page(HTMLParser):
    """A page's links, pictures and text; complains of tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.cells: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.links += [values[key] for key in ("src", "href", "srcset", "data") if key in values]
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def decode(uri: str) -> np.ndarray:
    head, _, text = uri.partition(",")
    assert re.fullmatch(r"data:image/(jpeg|webp);base64", head)
    data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def row_of(page: Page, kind: str) -> list[str]:
    """The cells of a model's row: after the row's heading, up to the runtime."""
    start = next(i for i, cell in enumerate(page.cells) if f"ghost-toy-{kind}" in cell)
    return [cell.strip() for cell in page.cells[start : start + 12]]


@pytest.mark.parametrize("model", MODELS, ids=[row[0] for row in MODELS])
def test_a_models_figures_stand_in_its_row(html: str, model: tuple) -> None:
    kind, size, ms, rmse, si_rmse, delta_1 = model
    cells = row_of(Page(html), kind)
    p90, p99 = np.percentile(ms, (90, 99))
    expected = [
        f"{size / 1e6:.2f}",
        f"{ms[2]:.1f}",
        f"{p90:.1f}",
        f"{p99:.1f}",
        f"{1000 / ms[2]:.1f}",
        f"{rmse:.3f}",
        f"{si_rmse:.4f}",
        f"{delta_1:.3f}",
        f"{2 ** (-20 * si_rmse) / (1.5625e-6 * ms[2]):.0f}",
        "–" if kind == "fp32.tflite" else f"{100 * (si_rmse / 0.20417 - 1):+.2f}",
    ]
    assert [cell.removesuffix(" (best)") for cell in cells[1:11]] == expected
    assert cells[11].startswith("runtime_a 2.1.0")


def test_the_best_of_each_column_is_marked_ties_as_they_are_written(html: str) -> None:
    page = Page(html)
    marked = {
        kind: [i for i, cell in enumerate(row_of(page, kind)) if cell.endswith("(best)")]
        for kind, *_ in MODELS
    }
    # RMSE, si-RMSE and delta_1 of fp32 and fp16 agree in the digits shown.
    assert marked == {
        "fp32.tflite": [6, 7, 8],
        "fp16.tflite": [6, 7, 8],
        "dynamic.tflite": [],
        "int8.tflite": [1, 2, 3, 4, 5, 9],
        "fp32.onnx": [6, 7, 8],
        "int8.onnx": [],
    }


def test_a_single_file_is_not_marked_as_best(results: Results) -> None:
    alone = dataclasses.replace(results, models=results.models[:1])
    assert "(best)" not in render(alone, [])


def test_the_page_says_what_was_measured_where(html: str) -> None:
    for text in ("ghost-toy: depth from one photo", "Test CPU 9000", "Some Linux", "noisy"):
        assert text in html
    assert "04 March 2026, 05:06 UTC" in html
    assert "of this machine, not of a Raspberry Pi" in html


def predicted(results: Results) -> Results:
    """The first two are predicted, at 12.3 and 24.6 ms."""
    times = [
        PredictedLatency("Board 4", "Lite 2.5", 4, 1500.0, ms, 0.9 * ms, 1.2 * ms, "counts")
        for ms in (12.3, 24.6)
    ]
    records = [
        dataclasses.replace(record, predicted=time)
        for record, time in zip(results.models, times, strict=False)
    ]
    return dataclasses.replace(results, models=[*records, *results.models[2:]])


def test_predicted_times_stand_apart_from_measured_ones(results: Results, html: str) -> None:
    with_times = render(predicted(results), [])
    measured, _, rest = with_times.partition('<section aria-labelledby="predicted-title">')
    section = rest.partition("</section>")[0]
    assert "Nothing in this table was measured." in section
    assert "Board 4, Lite 2.5, 4 threads, 1500 MHz, from counts" in section
    cells = re.findall(r"<td>([^<]*)</td>", section)
    assert cells == ["12.3", "11.1 – 14.8", "24.6", "22.1 – 29.5"]
    assert "12.3" not in measured
    assert "predicted-title" not in html


def test_the_bar_of_a_prediction_is_in_percent_of_the_longest_range(results: Results) -> None:
    rows = render(predicted(results), []).partition('<table class="predicted">')[2]
    bars = re.findall(r"(left|width): ([\d.]+)%", rows)
    of_first, of_second = bars[:4], bars[4:]
    end = 1.2 * 24.6
    for bar, ms in ((of_first, 12.3), (of_second, 24.6)):
        sizes = [float(size) for _, size in bar]
        assert sizes == pytest.approx(
            [100 * ms / end, 90 * ms / end, 30 * ms / end, 100 * ms / end], abs=0.06
        )


def test_without_predicted_times_the_page_says_why(results: Results) -> None:
    page = render(results, [], "qemu is not <installed>")
    assert "not predicted here: qemu is not &lt;installed&gt;." in page
    assert "predicted-title" not in page


def test_on_a_pi_the_page_does_not_say_that_it_is_none(results: Results) -> None:
    board = dataclasses.replace(results.context.board, model="Raspberry Pi 4 Model B Rev 1.4")
    context = dataclasses.replace(results.context, board=board)
    html = render(dataclasses.replace(results, context=context), [])
    assert "Times are of this machine.</strong>" in html


def test_the_page_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert page.links
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "http" not in html
    assert "@import" not in html
    assert "<script" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_ids_are_unique_and_references_lead_to_them(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    references = [link for link in page.links if link.startswith("#")]
    references += re.findall(r"url\((#[^)]*)\)", html)
    assert {reference[1:] for reference in references} <= set(page.ids)


def test_every_picture_decodes_and_has_words(html: str) -> None:
    images = Page(html).images
    assert len(images) == 2 * 5
    for image in images:
        assert decode(image["src"]).shape[:2] == (HEIGHT, WIDTH)
        assert image["alt"]


def test_each_depth_map_has_that_photos_own_error(html: str) -> None:
    for si_rmse in (0.20417, 0.20901):
        for offset in (-0.05, 0.05):
            assert f"si-RMSE {si_rmse + offset:.3f}" in html


def test_a_change_that_rounds_to_nothing_has_no_minus(results: Results) -> None:
    fp16 = results.models[1]
    assert fp16.accuracy is not None
    mean = dataclasses.replace(fp16.accuracy.mean, si_rmse=0.204169)
    fp16 = dataclasses.replace(fp16, accuracy=dataclasses.replace(fp16.accuracy, mean=mean))
    html = render(dataclasses.replace(results, models=[results.models[0], fp16]), [])
    assert row_of(Page(html), "fp16.tflite")[10] == "+0.00"


def test_names_are_escaped(results: Results) -> None:
    odd = dataclasses.replace(results.models[0], file="<b>&.tflite")
    html = render(dataclasses.replace(results, models=[odd, *results.models[1:]]), [])
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;.tflite" in html


def test_results_without_accuracy_are_refused(results: Results) -> None:
    bare = dataclasses.replace(results.models[1], accuracy=None)
    with pytest.raises(UserError, match=r"ghost-toy-fp16\.tflite .* without a dataset"):
        render(dataclasses.replace(results, models=[results.models[0], bare]), [])


def test_results_without_a_model_are_refused(results: Results) -> None:
    with pytest.raises(UserError, match="nothing was measured"):
        render(dataclasses.replace(results, models=[]), [])


def test_a_page_that_cannot_be_written_is_one_clear_line(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*report\.html"):
        write_report(results, [], tmp_path / "file" / "report.html")


def test_scenes_are_read_with_their_predictions(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toy-int8.tflite"
    folder.mkdir()
    drawn = np.full((96, 128), 1234, np.uint16)
    cv2.imwrite(str(folder / "3.png"), drawn)
    (scene,) = read_scenes(dataset, ["3"], [folder])
    assert scene.photo.shape == (96, 128, 3)
    np.testing.assert_array_equal(scene.depths["toy-int8.tflite"], drawn)


def test_a_missing_photo_or_prediction_is_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no photo called nowhere"):
        read_scenes(dataset, ["nowhere"], [])
    with pytest.raises(UserError, match=r"cannot read .*toy/0\.png"):
        read_scenes(dataset, ["0"], [tmp_path / "toy"])


def test_depth_takes_the_colour_map_and_unknown_is_transparent() -> None:
    depth = np.array([[0, 1.0, 2.0], [3.0, 0.5, 9.0]], np.float32)
    image = decode(pictures.depth_picture(depth, near=1.0, far=3.0))
    assert image[0, 0, 3] == 0
    colours = mpl.colormaps[pictures.DEPTH_COLOURS]
    # Beyond the scale the end's colour holds.
    for place, index in (((0, 1), 0), ((1, 0), 255), ((1, 1), 0), ((1, 2), 255), ((0, 2), 128)):
        expected = np.rint(np.array(colours(index)[:3]) * 255)[::-1]
        np.testing.assert_array_equal(image[place][:3], expected)
        assert image[place][3] == 255


def test_the_error_map_is_white_where_right_blue_where_near_red_where_far() -> None:
    truth = np.array([[2.0, 2.0, 2.0, 0.0]], np.float32)
    depth = np.array([[2.0, 2.0 / 1.5, 2.0 * 1.5, 2.0]], np.float32)
    for scale in (1.0, 0.7):
        uri, found = pictures.error_picture(depth * np.float32(scale), truth)
        assert found == pytest.approx(scale)
        right, near, far, unknown = decode(uri)[0].astype(int)
        assert right[:3].min() > 240
        assert near[0] > 2 * near[2]
        assert far[2] > 2 * far[0]
        assert unknown[3] == 0


def test_without_known_depth_the_error_map_is_empty() -> None:
    nothing = np.zeros((4, 4), np.float32)
    uri, scale = pictures.error_picture(nothing + 1, nothing)
    assert scale == 1
    assert not decode(uri)[..., 3].any()


def test_the_scale_spans_the_known_depth() -> None:
    truth = np.linspace(1.0, 4.0, 301, dtype=np.float32).reshape(7, 43)
    truth[0, 0] = 0
    near, far = pictures.depth_range(truth)
    assert (near, far) == (pytest.approx(1.0), pytest.approx(4.0))
    assert pictures.depth_range(np.zeros((2, 2), np.float32)) == (0.0, 1.0)


def test_large_pictures_are_made_smaller_with_their_shape_kept() -> None:
    image = decode(pictures.photo_picture(np.zeros((480, 640, 3), np.uint8)))
    assert image.shape == (300, 400, 3)


def test_the_plot_is_well_formed_and_takes_the_pages_colours() -> None:
    points = [
        Point("a.tflite", ".tflite", 10, 12, 0.2, 3.0),
        Point("b.onnx", ".onnx", 8, 9, 0.21, 9),
    ]
    svg = accuracy_plot(points, 9, 4)
    ElementTree.fromstring(svg)
    assert "a.tflite, 3.0 MB" in svg
    assert "b.onnx, 9.0 MB" in svg
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {
        "none",
        *(f"var(--{name})" for name in ("ink", "faint", "paper", "series-1", "series-2")),
    }
    assert svg == accuracy_plot(points, 9, 4)


def test_labels_of_crowded_points_cover_nothing() -> None:
    frame = Bbox.from_extents(0, 0, 400, 300)
    points = [(200.0, 150.0), (206.0, 150.0), (212.0, 152.0), (212.0, 148.0), (390.0, 150.0)]
    sizes = [(90.0, 12.0)] * 5
    marks = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    offsets = place_labels(points, sizes, marks, frame)
    boxes = [
        Bbox.from_bounds(x + dx - w / 2, y + dy - h / 2, w, h)
        for (x, y), (dx, dy), (w, h) in zip(points, offsets, sizes, strict=True)
    ]
    for first, second in itertools.combinations(boxes, 2):
        assert not first.overlaps(second)
    for box, mark in itertools.product(boxes, marks):
        assert not box.overlaps(mark)
    assert all(box.x0 >= 0 and box.x1 <= 400 and box.y0 >= 0 and box.y1 <= 300 for box in boxes)

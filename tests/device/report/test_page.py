"""The page about a results file: figures, sections, escaping, and that it needs nothing outside."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.bands import Band
from bench_depth.accuracy.records import ImageAccuracy
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import mean_metrics, score
from bench_depth.core.screen import printable
from bench_depth.model.released import read_catalogue
from bench_depth.report import table
from bench_depth.report.csv_markdown import to_csv, to_markdown
from bench_depth.report.fastest import among_fastest, fastest, predicted_files
from bench_depth.report.html import charts
from bench_depth.report.html.page import render, write_page
from bench_depth.report.html.pictures import Picture, Scene
from bench_depth.report.per_image import to_csv as per_image
from bench_depth.report.wording import figure
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import ModelRecord, Results
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, summarize
from bench_depth.timing.sustained import Point, Sustained

VOID = {"meta", "br", "img"}
EVIL = '<script>alert("1")</script>&'
# Format, bytes, milliseconds of each run, RMSE, si-RMSE, delta_1.
MODELS = (
    ("fp32.tflite", 10_412_345, (20, 21, 22, 23, 30), 0.5011, 0.20417, 0.6212),
    ("fp16.tflite", 5_234_567, (21, 22, 23, 24, 31), 0.5012, 0.20418, 0.62121),
    ("int8.tflite", 2_881_234, (12, 13, 14, 15, 19), 0.5102, 0.20901, 0.6099),
    ("fp32.onnx", 10_512_345, (19, 20, 21, 22, 29), 0.5011, 0.20417, 0.6212),
)


class Page(HTMLParser):
    """Collects text, ids and links; fails where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.ids += [str(v) for k, v in attrs if k == "id"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, name: str, table: int = 0) -> list[str]:
        """The cells of the row with this name in the first, or a later, table that has one."""
        return [row for row in self.rows if row[0].startswith(name)][table]


@pytest.fixture
def variants(measured: Results) -> Results:
    """Four files of one network, with accuracy on two images."""
    base = measured.models[0]
    records = []
    for kind, size, ms, rmse, si_rmse, delta_1 in MODELS:
        times = [value * 1_000_000 for value in ms]
        timing = Timing(times, summarize(times))
        assert base.accuracy is not None and base.contract is not None
        mean = dataclasses.replace(base.accuracy.mean, rmse=rmse, si_rmse=si_rmse, delta_1=delta_1)
        accuracy = dataclasses.replace(
            base.accuracy,
            mean=mean,
            score=score(si_rmse, timing.statistics.median),
            images=[ImageAccuracy(name, mean) for name in "ab"],
        )
        contract = dataclasses.replace(base.contract, variant=Path(kind).stem)
        records.append(
            dataclasses.replace(
                base,
                file=f"toy-{kind}",
                bytes=size,
                contract=contract,
                invoke=timing,
                accuracy=accuracy,
                warnings=[],
            )
        )
    return dataclasses.replace(measured, models=records)


def changed(results: Results, **changes: object) -> Results:
    """The results with every record changed."""
    records = [dataclasses.replace(record, **changes) for record in results.models]  # type: ignore[arg-type]
    return dataclasses.replace(results, models=records)


def on_board(results: Results, model: str | None) -> Results:
    board = dataclasses.replace(results.context.board, model=model)
    context = dataclasses.replace(results.context, board=board)
    return dataclasses.replace(results, context=context)


def test_an_interval_is_spoken_of_where_it_is_drawn(variants: Results) -> None:
    assert "A vertical line" not in render(variants, {})
    records = []
    for number, record in enumerate(variants.models):
        assert record.accuracy is not None
        means = [
            dataclasses.replace(record.accuracy.mean, si_rmse=0.2 + image * (1 + number) / 100)
            for image in range(6)
        ]
        images = [ImageAccuracy(str(number), mean) for number, mean in enumerate(means)]
        records.append(
            dataclasses.replace(
                record, accuracy=dataclasses.replace(record.accuracy, images=images)
            )
        )
    page = render(dataclasses.replace(variants, models=records), {})
    assert "A vertical line" in page
    assert "No interval" not in page


@pytest.fixture
def scene() -> Scene:
    uri = "data:image/webp;base64,AA=="
    pictures = [Picture(EVIL, uri, EVIL, "si-RMSE 0.154"), Picture("error", uri, "Where it errs")]
    return Scene(EVIL, pictures, 1.0, 3.0, "δ₁ 0.60")


@pytest.mark.parametrize("model", MODELS, ids=[row[0] for row in MODELS])
def test_the_figures_of_a_model_are_in_its_row(variants: Results, model: tuple) -> None:
    kind, size, ms, rmse, si_rmse, delta_1 = model
    page = Page(render(variants, {}))
    cells = page.row(kind)
    p90, p95, p99 = np.percentile(ms, (90, 95, 99))
    change = "" if kind == "fp32.tflite" else f"{100 * (si_rmse / 0.20417 - 1):+.2f} %"
    expected = [
        "21.7",
        *(f"{value:.1f}" for value in (ms[2], p90, p95, p99)),
        f"{size / 1e6:.2f}",
        f"{rmse:.3f}",
        f"{si_rmse:.4f}{change}",
        f"{delta_1:.4f}",
        f"{2 ** (-20 * si_rmse) / (1.5625e-6 * ms[2]):.0f}",
    ]
    assert [cell.removesuffix(" (best)") for cell in cells[1:-1]] == expected
    sharpness = [cell.removesuffix(" (best)") for cell in page.row(kind, table=1)[1:]]
    assert sharpness == ["6.12", "9.25", "0.137"]
    assert cells[-1] == "tflite_runtime 2.5.0.post1XNNPACK off"


def test_the_best_of_a_column_is_marked_ties_as_they_are_written(variants: Results) -> None:
    page = Page(render(variants, {}))
    marked = {
        kind: [i for i, cell in enumerate(page.row(kind)) if cell.endswith("(best)")]
        for kind, *_ in MODELS
    }
    # The frames per second, and the accuracy of three files, agree in the digits shown.
    assert marked == {
        "fp32.tflite": [1, 7, 8, 9],
        "fp16.tflite": [1, 7, 8, 9],
        "int8.tflite": [1, 2, 6],
        "fp32.onnx": [1, 7, 8, 9],
    }
    alone = dataclasses.replace(variants, models=variants.models[:1])
    assert "(best)" not in render(alone, {})


def test_a_change_that_rounds_to_nothing_has_no_minus(variants: Results) -> None:
    first, second = variants.models[:2]
    assert second.accuracy is not None
    mean = dataclasses.replace(second.accuracy.mean, si_rmse=0.204169)
    second = dataclasses.replace(second, accuracy=dataclasses.replace(second.accuracy, mean=mean))
    page = Page(render(dataclasses.replace(variants, models=[first, second]), {}))
    assert page.row("fp16.tflite")[8].startswith("0.2042+0.00 %")


def test_what_is_not_shown_to_differ_from_the_best_is_marked_as_well(variants: Results) -> None:
    def record(place: int, low: float | None, errors: Sequence[float]) -> ModelRecord:
        base = variants.models[place]
        assert base.accuracy is not None
        means = []
        for number, error in enumerate(errors):
            # The ground truth of every fifth image has no edge.
            edge = 30 * error if number % 5 else None
            sharpness = dict.fromkeys(("dbe_acc", "dbe_comp", "edge_energy"), edge)
            means.append(dataclasses.replace(base.accuracy.mean, si_rmse=error, **sharpness))
        images = [ImageAccuracy(str(i), each) for i, each in enumerate(means)]
        accuracy = dataclasses.replace(base.accuracy, images=images, mean=mean_metrics(means))
        compared = None if low is None else Comparison("a", low + 0.05, low, low + 0.1, 20)
        return dataclasses.replace(base, comparison=compared, accuracy=accuracy)

    def sharp(page: Page) -> list[list[bool]]:
        """Which models are marked in the two columns of depth-boundary errors."""
        rows = [page.row(kind, table=1) for kind, *_ in MODELS]
        return [[row[column].endswith("(best)") for row in rows] for column in (1, 2)]

    errors = np.linspace(0.2, 0.3, 20)
    noise = np.tile([0.02, -0.019], 10)
    records = [
        record(0, None, errors),
        record(1, 0.97, errors + noise),
        record(2, 0.5, errors + 0.01),
        record(3, 0.55, errors - 0.01),
    ]
    page = Page(render(dataclasses.replace(variants, models=records), {}))
    medians = [page.row(kind)[2].endswith("(best)") for kind, *_ in MODELS]
    assert medians == [False, False, True, True]
    found = [page.row(kind)[9].endswith("(best)") for kind, *_ in MODELS]
    assert found == [False, False, False, True]
    assert sharp(page) == [found, found]
    records[3] = record(3, 0.55, errors)
    page = Page(render(dataclasses.replace(variants, models=records), {}))
    found = [page.row(kind)[9].endswith("(best)") for kind, *_ in MODELS]
    assert found == [True, True, False, True]
    assert sharp(page) == [found, found]


def test_the_page_says_what_was_measured_where(measured: Results) -> None:
    page = Page(render(measured, {}))
    for text in (
        measured.models[0].file,
        "Raspberry Pi 4 Model B Rev 1.4",
        "4x Cortex-A72, up to 1500 MHz, governor ondemand",
        "tflite_runtime 2.5.0.post1, XNNPACK off, 4 threads",
        "48 -> 61 °C",
        "02 January 2026, 03:04 UTC with bench-depth 0.1.0, Python 3.9.2",
        "at least 50 and 5 s per model",
        "0.2199",
        "0.450 .. 0.550",
        "no alignment",
        "left out, as their ground truth has no valid pixel: b",
        "cool it",
        "Times are of this machine.",
    ):
        assert text in page.text
    page = Page(render(on_board(measured, None), {}))
    assert "of this machine, not of a Raspberry Pi." in page.text


def test_what_comes_from_outside_is_escaped(measured: Results, scene: Scene) -> None:
    results = on_board(changed(measured, file=EVIL, contract=None), EVIL)
    text = render(results, {0: [scene]}, scenes=[scene], unpredicted=EVIL)
    assert "<script" not in text
    assert Page(text).text.count(EVIL) > 10


def test_nothing_is_loaded_from_elsewhere(variants: Results, scene: Scene) -> None:
    text = render(variants, {0: [scene]}, scenes=[scene])
    page = Page(text)
    assert len(page.links) == 4
    assert all(link.startswith("data:") for link in page.links)
    assert not re.search(r"https?:|@import|url\(|<script", text)
    page = Page(render(on_board(predicted(variants), None), {}))
    assert page.links == [f"#{name}" for name in page.ids] == ["#predicted"]


def test_sections_without_data_are_left_out(variants: Results) -> None:
    bare = changed(variants, preprocess=None, postprocess=None, total=None, accuracy=None)
    text = render(bare, {})
    for title in ("Predicted", "Accuracy against", "Latency over", "Depth maps", "Profile"):
        assert f">{title}" not in text
    assert "RMSE" not in text and "Error by" not in text and "Sustained" not in text
    assert "invoke" in Page(text).text


def test_no_image_is_shown_of_accuracy_that_was_interrupted(
    variants: Results, scene: Scene
) -> None:
    bare = changed(variants, accuracy=None)
    assert Page(render(bare, {0: [scene]})).links == []


def test_results_without_a_model_are_refused(measured: Results) -> None:
    with pytest.raises(UserError, match="nothing was measured"):
        render(dataclasses.replace(measured, models=[]), {})


def test_a_page_that_cannot_be_written_is_one_clear_line(measured: Results, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*page\.html"):
        write_page(measured, {}, tmp_path / "file" / "page.html")


def predicted(results: Results) -> Results:
    """The first two are predicted, at 12.3 and 24.6 ms."""
    records = list(results.models)
    for place, ms in enumerate((12.3, 24.6)):
        latency = PredictedLatency(
            "Board 4", "Lite 2.5", 1, 1500.0, ms, 0.9 * ms, 1.2 * ms, "counts"
        )
        records[place] = dataclasses.replace(records[place], predicted=latency)
    return dataclasses.replace(results, models=records)


def test_predicted_latency_is_apart_from_what_was_measured(variants: Results) -> None:
    text = render(predicted(variants), {})
    tile = "On a Board 4, predicted 12.3 ms fp32.tflite, 11.1 to 14.8 ms, from counts Fastest here"
    assert tile in Page(text).text
    before, _, rest = text.partition("</header>")[2].partition('<h2 id="predicted">')
    section = rest.partition("</section>")[0]
    assert "Nothing in this table was measured." in section
    assert "Board 4, Lite 2.5, 1 thread, 1500 MHz, from counts" in section
    cells = re.findall(r"<td>([^<]*)</td>", section)
    assert cells == ["12.3", "11.1 – 14.8", "24.6", "22.1 – 29.5"]
    assert "12.3" not in before
    # The bars are in percent of the highest end.
    sizes = [float(size) for _, size in re.findall(r"(left|width): ([\d.]+)%", section)]
    end = 1.2 * 24.6 / 100
    expected = [v * ms / end for ms in (12.3, 24.6) for v in (1, 0.9, 0.3, 1)]
    assert sizes == pytest.approx(expected, abs=0.06)
    note = "predicted, not measured, for Board 4, Lite 2.5, 1 thread, 1500 MHz, from counts: "
    note += "toy-fp32.tflite 12.3 ms (11.1 to 14.8), toy-fp16.tflite 24.6 ms (22.1 to 29.5)"
    assert note in " ".join(table.render(predicted(variants)).split())


def test_without_predicted_latency_the_page_says_why(variants: Results) -> None:
    page = Page(render(variants, {}, unpredicted="qemu is not installed"))
    assert "not predicted here: qemu is not installed." in page.text
    assert "predicted" not in page.ids


@pytest.mark.same_everywhere
def test_the_fastest_released_model_is_named_beside_another_one(variants: Results) -> None:
    results, catalogue = predicted(variants), read_catalogue()
    fast = catalogue.models[0]
    band = fast.files[0].pi4_ms
    assert band is not None
    beside = f"from counts; {fast.name}, the fastest one, {figure(band[0])} ms Fastest here"
    assert beside in Page(render(results, {}, released=catalogue)).text
    contracts = [record.contract for record in results.models if record.contract]
    own = dataclasses.replace(contracts[0], name=fast.name)
    records = [dataclasses.replace(record, contract=own) for record in results.models]
    page = render(dataclasses.replace(results, models=records), {}, released=catalogue)
    assert "from counts Fastest here" in Page(page).text


def released_cells(variants: Results, board: str = "Raspberry Pi 4") -> Page:
    return Page(render(on_board(variants, board), {}, released=read_catalogue()))


@pytest.mark.same_everywhere
def test_the_released_files_are_listed_in_every_runtime_on_every_board(variants: Results) -> None:
    catalogue, page = read_catalogue(), released_cells(variants)
    for file in (file for model in catalogue.models for file in model.files):
        others = [file.runtime_ms.get(name, {}) for name in ("litert", "onnxruntime")]
        runtimes = ("TensorFlow Lite 2.5", "LiteRT", "ONNX Runtime")
        for runtime, ms in zip(runtimes, (file.board_ms, *others), strict=True):
            rows = [row for row in page.rows if row[0] == file.file + runtime]
            assert len(rows) == bool(ms)
            for cells in rows:
                for cell, board in zip(cells[1:], catalogue.boards, strict=False):
                    wanted = "–"
                    if board in ms:
                        wanted = "{}{} – {}".format(*(figure(value) for value in ms[board]))
                    assert cell.removesuffix(" (best)") == wanted
                assert cells[-1] == f"{file.rmse:.3f}"


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    ("board", "name"), [("Raspberry Pi 5 Model B", "rpi5"), ("another", "rpi4")]
)
def test_the_fastest_released_file_is_marked_and_that_of_the_board_here_is_named(
    variants: Results, board: str, name: str
) -> None:
    catalogue, page = read_catalogue(), released_cells(variants, board)
    files = predicted_files(catalogue)
    rows = {row[0]: row[1:] for row in page.rows}
    for place, title in enumerate(catalogue.boards):
        best = among_fastest(files, title)
        assert min(each.ms[title] for each in files if title in each.ms) in [
            each.ms[title] for each in best
        ]
        for each in files:
            cell = rows[each.file.file + each.runtime][place]
            assert cell.endswith(" (best)") == (each in best)
    assert " ".join(fastest(catalogue, name)) in page.text
    assert "on every Raspberry Pi" not in Page(render(variants, {})).text


def test_scenes_have_their_figures_and_legend(variants: Results, scene: Scene) -> None:
    page = Page(render(variants, {1: [scene]}))
    assert "1 more of the images with the highest si-RMSE" in page.text
    for text in ("si-RMSE 0.154", "δ₁ 0.60", "1.0 1.5 2.0 2.5 3.0 m", "÷ 2.0, too near"):
        assert text in page.text
    assert "÷ 1.5, too near" in Page(render(variants, {}, scenes=[scene])).text


def test_bands_are_bars_on_one_scale(measured: Results) -> None:
    near = Band(1.0, 2.0, 3, 0.25, 0.5, 0.2, 0.6, 0.1)
    far = Band(10.0, None, 1, 0.75, 2.0, 0.3, 0.5, -0.2)
    records: list[ModelRecord] = []
    for place, record in enumerate(measured.models):
        assert record.accuracy is not None
        accuracy = dataclasses.replace(record.accuracy, bands=[near, far][: place + 1])
        records.append(dataclasses.replace(record, accuracy=accuracy))
    text = render(dataclasses.replace(measured, models=records), {})
    page = Page(text)
    for words in ("1-2 m 25 % of pixels", "10+ m 75 %", "+0.100", "-0.200"):
        assert words in page.text
    # Each chart is there for a screen and for a phone.
    first, again, second, third, *_ = re.findall(r'class="bar"[^>]* height="([0-9.]+)"', text)
    assert first == again == second
    assert float(third) == pytest.approx(4 * float(first), abs=0.5)


def test_the_slowest_run_is_among_the_dots_however_many_there_are() -> None:
    times = [10_000_000] * 50_000
    times[31_234] = 90_000_000
    svg = charts.timeline(Timing(times, summarize(times)), 640)
    assert svg.count("<circle") <= 600
    assert svg.count("beyond") == 1


def test_ratios_that_hardly_differ_are_not_drawn_far_apart() -> None:
    svg = charts.intervals(["a", "b"], [None, Comparison("a", 1.001, 1.0, 1.002, 20)], 640)
    first, second = (float(x) for x in re.findall(r'class="mean" cx="([0-9.]+)"', svg))
    assert 0 <= second - first < 10


def test_intervals_are_drawn_where_they_are_known() -> None:
    known, unknown = Comparison("a", 0.5, 0.4, 0.6, 20), Comparison("a", 0.5, None, None, 2)
    svg = charts.intervals(["a", "b", "c"], [None, known, unknown], 640)
    assert svg.count('class="mean"') == 3
    assert svg.count('class="interval"') == 1


@pytest.mark.parametrize("temperature", [None, 61.0])
def test_a_long_run_is_drawn_with_and_without_a_sensor(
    measured: Results, temperature: float | None
) -> None:
    points = [Point(i, 10 + i, temperature, None) for i in range(1, 61)]
    text = render(changed(measured, sustained=Sustained(1, 600, 11, 69, points)), {})
    assert Page(text).text.count("Sustained: +527.3 % from the first minute") == 2
    assert text.count('<polyline class="curve') == (4 if temperature is None else 8)


@pytest.mark.same_everywhere
def test_without_jinja_no_model_is_read_and_the_command_is_named(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'jinja2' else find(name)\n"
        "from bench_depth.commands.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    page = tmp_path / "page.html"
    command = [sys.executable, "-c", code, "--model", "none.tflite", "--html", str(page)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "bench-depth: --html needs Jinja2, which is not installed; run: "
        "python3 -m pip install jinja2\n"
    )
    assert not page.exists()


def test_control_characters_in_names_reach_no_page_table_or_list(measured: Results) -> None:
    hostile = "a\x1b]0;own\x07\x9b31m\u202e\u2066\x00\udcff.tflite"
    first = measured.models[0]
    assert first.accuracy is not None
    images = [dataclasses.replace(first.accuracy.images[0], name=hostile)]
    accuracy = dataclasses.replace(first.accuracy, images=images, left_out=[hostile], data=hostile)
    record = dataclasses.replace(first, file=hostile, accuracy=accuracy, output=hostile)
    results = dataclasses.replace(measured, models=[record])
    for text in (render(results, {}), to_csv(results), to_markdown(results), per_image(results)):
        text.encode()
        assert printable(text, keep="\n\t") == text and "31m" in text

"""Released models by name: what a name stands for, and what a wrong one is answered with."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest
from bench_depth import UserError
from bench_depth.commands.models import render
from bench_depth.core.dataset import list_pairs
from bench_depth.machine.board import Board
from bench_depth.model.contract import read_contract
from bench_depth.model.released import (
    SAMPLES,
    ReleasedFile,
    default_model,
    find_model,
    read_catalogue,
    released_board,
    samples_hint,
)
from bench_depth.report.fastest import (
    about_as_fast,
    among_fastest,
    default_reason,
    fastest,
    not_here,
    predicted_files,
)

from tests.device.conftest import main

QUICK = ["--warmup", "0", "--min-runs", "1", "--min-time", "0"]


def test_every_name_stands_for_its_file() -> None:
    for model in read_catalogue().models:
        if not model.installed:
            with pytest.raises(UserError, match=f"{model.name} is not here; take it from"):
                find_model(model.name)
            continue
        assert find_model(model.name).name == f"{model.name}-int8.tflite"
        for file, path in model.installed:
            assert find_model(file.file) == path
            contract = read_contract(find_model(path.stem))
            assert contract is not None
            assert (contract.name, path.stem) == (model.name, f"{model.name}-{contract.variant}")


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("ghostdepth-s").is_absolute()
    Path("ghostdepth-s").mkdir()
    assert find_model("ghostdepth-s").is_file()
    Path("ghostdepth-nano").write_text("a file")
    assert find_model("ghostdepth-nano") == Path("ghostdepth-nano")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ghostdeph-s", "released here: .*ghostdepth-nano.*; did you mean ghostdepth-s\\?"),
        ("ghostdepth-xxs", "there is no model 'ghostdepth-xxs': .*released here: ghostdepth-nano"),
        ("somewhere/ghostdepth-s-int8.tflite", "does not exist; .* as ghostdepth-s-int8$"),
        ("", "there is no model ''"),
        ("x" * 100_000, "neither a file nor a released name"),
        ("a\0b", "neither a file nor a released name"),
    ],
)
def test_another_name_is_one_line(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        find_model(name)
    assert len(str(raised.value)) < 300


def test_a_missing_file_of_ones_own_is_left_to_its_reader() -> None:
    assert find_model("no/such.tflite") == Path("no/such.tflite")


def test_the_list_names_figures_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    table = capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    rows = table.splitlines()
    shown = 0
    for model in listed["models"]:
        for file in model["files"]:
            if file["path"] is not None:
                (line,) = [row for row in rows if row.endswith(file["path"])]
                name = line.split()[0].replace(f"{model['name']}-", "  ")
                start = next(i for i, row in enumerate(rows) if row.startswith(model["name"]))
                row = next(row for row in rows[start:] if row.startswith(f"{name} "))
                assert f"{file['rmse']:.3f}" in row
                assert len(row) < 100
                # `make models` builds a file that holds these figures, some bytes more or fewer.
                size = Path(file["path"]).stat().st_size
                assert size == pytest.approx(file["bytes"], abs=4096)
                shown += 1
    assert shown >= 2
    assert f"no model is named: {default_model()} (" in table
    assert listed["default"] == default_model()


def test_the_list_fits_a_terminal_where_every_file_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ReleasedFile, "path", property(lambda file: Path(file.file)))
    catalogue = read_catalogue()
    models, _, latencies, _ = render(catalogue).split("\n\n", 3)
    assert len(models.splitlines()) == 1 + sum(len(model.files) for model in catalogue.models)
    assert max(map(len, [*models.splitlines(), *latencies.splitlines()])) < 100


@pytest.mark.same_everywhere
def test_every_released_file_is_listed_in_every_runtime_on_every_board_with_its_band() -> None:
    catalogue = read_catalogue()
    head, *rows = render(catalogue).split("\n\n")[2].splitlines()
    assert head.split() == ["ms,", "four", "threads", *catalogue.boards]
    files, shown, name = predicted_files(catalogue), set(), ""
    for row in rows:
        cells = re.split(" {2,}", row)
        name = cells[0] or name
        (each,) = [
            file
            for file in files
            if file.file.file.rpartition(".")[0] == name
            and file.runtime.replace("TensorFlow Lite", "TFLite") == cells[1]
        ]
        shown.add((each.file.file, each.runtime))
        for board, cell in zip(catalogue.boards, cells[2:], strict=True):
            ms, low, high = (float(number) for number in re.findall(r"[0-9.]+", cell))
            assert (ms, low, high) == pytest.approx(each.ms[board], rel=0.06)
    assert len(shown) == len(rows) == len(files)


def test_models_are_positional_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    words = [*QUICK, "ghostdepth-nano", "--threads", "1", "--json", str(out)]
    assert main([*words, "--data", str(SAMPLES), "--data-limit", "1"]) == 0
    (record,) = json.loads(out.read_text())["models"]
    assert record["file"] == "ghostdepth-nano-int8.tflite"
    assert record["accuracy"]["mean"]["delta_1"] > 0.2
    for words in ([], ["--model"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
    assert main(["modls"]) == 2
    assert "no command 'modls'; did you mean models?" in capfd.readouterr().err


def test_depth_takes_the_default_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo = list_pairs(SAMPLES)[0].rgb
    assert main(["depth", str(photo), "--out", str(tmp_path), "--format", "npy"]) == 0
    assert (tmp_path / photo.with_suffix(".npy").name).is_file()


@pytest.mark.same_everywhere
def test_the_fastest_file_of_each_board_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalogue = read_catalogue()
    files = [file for model in catalogue.models for file in model.files]
    for board, title in catalogue.boards.items():
        assert main(["models", "--board", board]) == 0
        table = capsys.readouterr().out
        (line,) = [row for row in table.splitlines() if row.startswith("Fastest for you")]
        runtimes = [file.board_ms for file in files]
        runtimes += [ms for file in files for ms in file.runtime_ms.values()]
        least, low, high = min(ms[board] for ms in runtimes if board in ms)
        assert f"({title}): " in line
        first = line.partition(";")[0]
        assert f" {least:.1f} ms ({low:.1f} to {high:.1f})" in first
        for runtime in ("TensorFlow Lite 2.5", "LiteRT", "ONNX Runtime"):
            assert table.count(f"In {runtime}: ") == (f" in {runtime}, " not in first)
        assert f"{board} ms (band)" in table
    assert main(["models", "--board", "pi\x1b[1m"]) == 2
    error = capsys.readouterr().err
    assert "the boards are rpi4, rpi4-1800, rpi5, zero2" in error
    assert "\x1b" not in error


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    ("ms", "other", "even"),
    [
        ((4.0, 3.0, 5.0), (6.0, 5.5, 7.0), False),
        # The bands meet, and neither holds the other's milliseconds.
        ((4.0, 3.0, 5.6), (6.0, 5.5, 7.0), False),
        ((4.0, 3.0, 6.0), (6.0, 5.5, 7.0), True),
        ((4.0, 3.0, 9.0), (6.0, 5.5, 7.0), True),
        ((4.0, 3.5, 4.5), (6.0, 3.9, 7.0), True),
    ],
)
def test_two_runtimes_are_about_as_fast_where_one_lies_in_the_band_of_the_other(
    ms: tuple[float, float, float], other: tuple[float, float, float], even: bool
) -> None:
    assert about_as_fast(ms, other) == about_as_fast(other, ms) == even


@pytest.mark.same_everywhere
def test_no_runtime_alone_is_the_fastest_where_the_bands_do_not_decide() -> None:
    catalogue = read_catalogue()
    files = predicted_files(catalogue)
    for board in catalogue.boards:
        best = among_fastest(files, board)
        first = min(best, key=lambda each: each.ms[board])
        assert len({each.runtime for each in best}) == len(best)
        for each in files:
            near = about_as_fast(each.ms[board], first.ms[board])
            assert (each in best) == (each is first or (each.runtime != first.runtime and near))
        for line in fastest(catalogue, board)[1:]:
            (named,) = [each for each in files if f"In {each.runtime}: {each.file.file}," in line]
            assert line.endswith(", about as fast.") == (named in best)
    assert among_fastest([], "rpi4") == []


@pytest.mark.same_everywhere
def test_a_pi_4_has_the_figures_that_it_had_before_there_were_boards() -> None:
    for model in read_catalogue().models:
        for file in model.files:
            assert file.board_ms.get("rpi4") == file.pi4_ms


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    ("model", "clock", "name"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", 2400, "rpi5"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", 2400, "rpi5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", 1000, "zero2"),
        ("Raspberry Pi 4 Model B Rev 1.2", 1500, "rpi4"),
        ("Raspberry Pi 4 Model B Rev 1.4", 1800, "rpi4-1800"),
        ("Raspberry Pi 4 Model B Rev 1.4", None, "rpi4"),
        (None, 4000, "rpi4"),
    ],
)
def test_a_board_is_known_by_its_name(model: str | None, clock: float | None, name: str) -> None:
    board = Board(model, None, 4, "aarch64", "Linux", clock, None, emulated=False)
    assert released_board(board) == name


@pytest.mark.parametrize("path", ["samples", "samples/rgb/a.jpg", Path("samples/rgb")])
def test_where_the_samples_lie_is_said_only_of_a_path_below_samples(path: str | Path) -> None:
    assert str(SAMPLES) in samples_hint(path)
    for other in (Path("photos") / path, Path("/") / path, f"./my-{path}"):
        assert samples_hint(other) == ""


@pytest.mark.parametrize(
    "words",
    [
        ["depth", "samples/rgb"],
        ["live", "--source", "samples/rgb", "--port", "0"],
        ["--data", "samples"],
    ],
)
def test_a_command_without_the_clone_says_where_the_samples_lie(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = [] if words[0] in ("depth", "live") else ["ghostdepth-nano", *QUICK]
    assert main([*model, *words]) == 2
    assert f"photos to try lie in {SAMPLES}" in capfd.readouterr().err


@pytest.mark.same_everywhere
def test_the_default_is_the_most_accurate_model_here_that_holds_30_frames_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue = read_catalogue()
    here: list[str] = []
    path = property(lambda file: Path(file.file) if file.file in here else None)
    monkeypatch.setattr(ReleasedFile, "path", path)
    steady = {
        model.name: model.cameras_si_rmse
        for model in catalogue.models
        if model.files[0].pi4_ms is not None and model.files[0].pi4_ms[2] <= 1000 / 30
    }
    assert default_model() == catalogue.leading.name == min(steady, key=lambda name: steady[name])
    for count in range(1, len(catalogue.models) + 1):
        for names in itertools.combinations([model.name for model in catalogue.models], count):
            here[:] = [f"{name}-int8.tflite" for name in names]
            rest = [name for name in names if name in steady] or names[:1]
            wanted = min(rest, key=lambda name: steady.get(name, 0))
            assert default_model() == wanted
            reason = default_reason(catalogue)
            assert reason.startswith(f"{wanted} (")
            # What is here is fastest first, as in the catalogue.
            assert (f"the fastest here: {names[0]} (" in reason) == (wanted != names[0])
            assert (f"{catalogue.leading.name} (" in reason) and (
                reason.endswith("not here") == (wanted != catalogue.leading.name)
            )
    # Of a file that is too slow the name does not stand for a file that is fast enough.
    here[:] = ["ghostdepth-m-fp32.tflite", "ghostdepth-nano-int8.tflite"]
    assert default_model() == "ghostdepth-nano"


@pytest.mark.same_everywhere
def test_of_a_recommended_file_that_is_not_here_it_is_said_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue = read_catalogue()
    recommended = fastest(catalogue, "rpi4")[0].rpartition(" 33 ms: ")[2].partition(" ")[0]
    packed = ("ghostdepth-s-int8.tflite", "ghostdepth-nano-int8.tflite")

    def lines(here: Collection[str]) -> list[str]:
        path = property(lambda file: Path(file.file) if file.file in here else None)
        monkeypatch.setattr(ReleasedFile, "path", path)
        return not_here(catalogue, "rpi4")

    assert lines([file.file for model in catalogue.models for file in model.files]) == []
    absent, left = lines(packed)
    assert absent.startswith("Not here: ") and recommended in absent and "give its path" in absent
    assert left.startswith(f"Of the files here: {packed[1]} in ")
    assert f"the most accurate within 33 ms: {packed[0]} in " in left
    (absent,) = lines([])
    assert recommended in absent and packed[1] in absent

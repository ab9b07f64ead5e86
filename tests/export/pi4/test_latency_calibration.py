"""The calibration: that the fit finds what is there, leaks nothing, and is what is shipped."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.latency import OpWork, shipped
from ghostdepth_train.csv_files import csv_rows
from hypothesis import given
from hypothesis import strategies as st

from tests.export.pi4.synthetic_counts import counts, model_counts

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "latency"
_MODULES = (
    *("architectures", "boards", "calibrate", "fit", "model", "networks", "plot", "rows"),
    *("runtimes", "ranking", "released_runtimes"),
)


class Modules:
    """Those of benchmarks/latency, by name."""

    fit: Any
    model: Any
    networks: Any
    rows: Any
    calibrate: Any
    runtimes: Any
    ranking: Any
    released_runtimes: Any


@pytest.fixture(scope="module")
def of() -> Iterator[Modules]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        found = Modules()
        for name in _MODULES:
            module: ModuleType = importlib.import_module(name)
            setattr(found, name, module)
        yield found


TRUTH = np.array([0.7, 16.0, 0.03, 30.0])
GROUPS = ["a"] * 8 + ["b"] * 8 + ["c"] * 8


def synthetic(noise: float = 0.0) -> tuple[Any, Any]:
    """24 networks of known costs and their times."""
    random = np.random.default_rng(0)
    features = random.uniform(0.1, 1.0, (24, 4)) * (40, 2, 60, 0.15)
    return features, features @ TRUTH * (1 + noise * random.normal(size=24))


# ------------------------------------------------------------------ the fit


def test_the_fit_finds_the_costs_that_made_the_times(of: Modules) -> None:
    features, ms = synthetic()
    assert of.fit.fit(features, ms) == pytest.approx(TRUTH)


def test_the_fit_weighs_short_and_long_networks_alike(of: Modules) -> None:
    features, ms = np.array([[1.0], [100.0]]), np.array([1.0, 110.0])
    # The least relative squares of 1 c / 1 - 1 and 100 c / 110 - 1.
    expected = (1 + 100 / 110) / (1 + (100 / 110) ** 2)
    assert of.fit.fit(features, ms) == pytest.approx([expected])


def test_a_cost_is_never_negative(of: Modules) -> None:
    features, ms = synthetic()
    assert of.fit.fit(features, ms - 1.5 * features[:, 2] * TRUTH[2])[2] == 0


def test_a_family_has_no_part_in_its_own_prediction(of: Modules) -> None:
    features, ms = synthetic(noise=0.02)
    before = of.fit.left_out(features, ms, GROUPS)
    changed = ms.copy()
    changed[:8] *= 3
    after = of.fit.left_out(features, changed, GROUPS)
    assert after[:8] == pytest.approx(before[:8])
    assert not np.allclose(after[8:], before[8:], rtol=0.01)


def test_what_is_transferred_to_has_no_part_in_the_fit(of: Modules) -> None:
    features, ms = synthetic(noise=0.02)
    train = np.arange(24) < 12
    predicted = of.fit.transferred(features, np.where(train, ms, 1e6), train)
    assert predicted == pytest.approx(features[12:] @ of.fit.fit(features[:12], ms[:12]))


def test_intervals_hold_the_truth_and_shrink_without_noise(of: Modules) -> None:
    low, high = of.fit.intervals(*synthetic(noise=0.05), GROUPS[::3] * 3, rounds=200)
    assert ((low <= TRUTH) & (high >= TRUTH)).sum() >= 3
    exact = of.fit.intervals(*synthetic(), [str(i) for i in range(24)], rounds=50)
    assert exact == pytest.approx(np.array([TRUTH, TRUTH]))


def test_errors_are_relative_to_what_was_published(of: Modules) -> None:
    found = of.fit.errors(np.array([90.0, 12.0]), np.array([100.0, 10.0]))
    assert dataclasses.astuple(found) == pytest.approx((0.15, 0.2, 0.5, 0.05, 2))


# ------------------------------------------------------------------ rows


def test_a_row_sums_up_what_its_ops_cost(of: Modules) -> None:
    shape = (1, 10, 10, 4)
    work = [
        OpWork("CONV_2D", "FLOAT32", (1, 10, 10, 64), (shape, (64, 1, 1, 4), (64,))),
        OpWork("ADD", "FLOAT32", shape, (shape, shape)),
    ]
    listed = model_counts([("CONV_2D", counts(8000, 10)), ("ADD", counts(300, 20))])
    listed = dataclasses.replace(listed, total=listed.total + counts(50, 4), outside=counts(50, 4))
    published = of.rows.Published("mobilenet-v1-0.25-128-non-quantized", 4.7, "someone")
    row = of.rows.row(published, listed, work)
    # 100 x 64 x 4 products: 7 + 6 + 2 - 15 bits, one thread.
    assert (row.macs, row.cycles, row.thread_cycles) == (25600, 8350, 8350)
    assert (row.lines, row.wakes, row.input_elements) == (34, 0, 3 * 128**2)
    assert row.bytes == 4 * (6400 + 400 + 256 + 64 + 3 * 400)
    assert (row.family, row.dtype, row.network) == (
        "mobilenet-v1",
        "fp32",
        "mobilenet-v1-0.25-128",
    )


def test_rows_come_back_as_they_were_written(of: Modules, tmp_path: Path) -> None:
    rows = of.rows.read_rows(of.calibrate.RESULTS)
    of.rows.write_rows(tmp_path / "rows.csv", rows)
    assert of.rows.read_rows(tmp_path / "rows.csv") == rows


def test_a_file_without_times_is_refused(of: Modules, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("model,ms\nresnet50,591\n")
    with pytest.raises(UserError, match=r"wrong\.csv has no columns model and p50_ms"):
        of.rows.read_published(path)
    with pytest.raises(UserError, match=r"wrong\.csv is not of the form of results\.csv"):
        of.rows.read_rows(path)


def test_an_unknown_network_is_refused(of: Modules) -> None:
    with pytest.raises(UserError, match="no network 'mobilenet-v3' is known"):
        of.networks.network("mobilenet-v3")


# ------------------------------------------------------------------ networks


# Tables of arXiv:1704.04861 and arXiv:1801.04381, and the models' pages. EfficientNet-Lite's page
# has 407 M and 2.6 G, which is more than multiply-accumulates.
_MILLIONS = {
    "mobilenet-v1-1.0-224": 569,
    "mobilenet-v1-0.75-192": 239,
    "mobilenet-v1-0.5-160": 77,
    "mobilenet-v1-0.25-128": 14,
    "mobilenet-v2-1.0-224": 300,
    "mobilenet-v2-0.75-192": 153,
    "mobilenet-v2-0.5-160": 50,
    "mobilenet-v2-0.35-96": 11,
    "mobilenet-v2-1.4-224": 582,
    "efficientnet-lite0": 385,
    "efficientnet-lite4": 2553,
    "resnet50": 4089,
}


def test_networks_that_were_counted_have_the_published_macs(of: Modules) -> None:
    found = {row.network: row.macs / 1e6 for row in of.rows.read_rows(of.calibrate.RESULTS)}
    for name, millions in _MILLIONS.items():
        assert found[name] == pytest.approx(millions, rel=0.01, abs=1), name


def test_both_kinds_of_numbers_take_the_same_macs(of: Modules) -> None:
    rows = of.rows.read_rows(of.calibrate.RESULTS)
    assert len({(row.network, row.macs) for row in rows}) == len({row.network for row in rows})


def test_a_network_is_built_with_the_published_macs(of: Modules) -> None:
    assert of.networks.macs(of.networks.network("mobilenet-v2-0.35-96")) == 11_935_408


# Half of the operations on the models' pages in Open Model Zoo, which count an addition apart.
@pytest.mark.parametrize(
    ("name", "millions"), [("ssdlite-mobilenet-v2", 762), ("ssd-mobilenet-v2", 1888)]
)
def test_a_detector_is_built_with_the_published_macs(
    of: Modules, name: str, millions: float
) -> None:
    found = of.networks.macs(of.networks.network(name)) / 1e6
    assert found == pytest.approx(millions, rel=0.02)


@pytest.mark.slow
def test_the_older_quantization_holds_the_same_numbers(of: Modules) -> None:
    kept: list[bytes] = []
    name = "mobilenet-v1-0.25-128-quantized"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of.networks, "as_uint8", lambda data: kept.append(data) or data)
        of.networks.convert(of.networks.network(name))
    picture = np.random.default_rng(0).integers(-128, 128, (1, 128, 128, 3))
    outputs = []
    for data, offset in ((kept[0], 0), (of.networks.as_uint8(kept[0]), 128)):
        interpreter = Interpreter(
            model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
        (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.set_tensor(given["index"], (picture + offset).astype(given["dtype"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(got["index"]).astype(int) - offset)
    assert [np.ptp(output) > 0 for output in outputs] == [True, True]
    # The kernels round ties differently.
    assert np.abs(outputs[0] - outputs[1]).max() <= 2


# ------------------------------------------------------------------ what is committed


def test_the_shipped_coefficients_are_those_of_the_committed_rows(of: Modules) -> None:
    rows = of.rows.read_rows(of.calibrate.RESULTS)
    assert of.model.coefficients(rows, shipped().calibrated) == shipped()


def test_the_summary_is_that_of_the_committed_rows(of: Modules) -> None:
    rows = of.rows.read_rows(of.calibrate.RESULTS)
    kept = json.loads(of.calibrate.SUMMARY.read_text())
    assert kept["rows"] == len(rows)
    for form, checks in kept["forms"].items():
        again = of.model.validated(rows, form)
        assert again["left_out"]["mean"] == pytest.approx(checks["left_out"]["mean"], rel=1e-6)


def test_the_committed_predictions_are_of_families_left_out(of: Modules) -> None:
    rows = of.rows.read_rows(of.calibrate.RESULTS)
    kept = np.array([r.predicted_ms for r in rows])
    assert of.model.predicted_ms(rows) == pytest.approx(kept, abs=6e-4)


def test_predictions_of_what_was_left_out_have_not_become_worse(of: Modules) -> None:
    forms = json.loads(of.calibrate.SUMMARY.read_text())["forms"]
    counted, plain = forms["counts"], forms["MACs + bytes + harness"]
    assert counted["left_out"]["mean"] <= 0.06
    assert counted["left_out_longer"]["within_10"] >= 0.9
    assert counted["left_out_short"]["mean"] <= 0.15
    assert max(abs(e["bias"]) for e in counted["families"].values()) <= 0.08
    assert counted["fp32_to_quantized"]["mean"] <= 0.08
    assert plain["left_out"]["mean"] >= 2 * counted["left_out"]["mean"]
    assert 0.667 <= shipped().cycle.value <= 0.8
    assert 14 <= shipped().line.value <= 18


def test_every_published_time_names_its_source(of: Modules) -> None:
    with of.calibrate.RESULTS.open(newline="") as stream:
        assert all("MLPerf" in line["source"] for line in csv.DictReader(stream))


def test_what_ships_for_litert_is_what_its_committed_rows_give(of: Modules) -> None:
    rows, types = of.runtimes.published_rows()
    assert rows == of.runtimes.read_rows()
    found = of.runtimes.shipped_form(rows, of.runtimes.predicted_ms(rows), types)
    assert found == json.loads(of.runtimes.SHIPPED.read_text())


def test_the_fit_for_litert_sees_neither_held_out_times_nor_32_bit_kernels(of: Modules) -> None:
    rows = of.runtimes.read_rows()
    seen = of.runtimes.fitted_rows(rows)
    assert seen
    assert all(row.split == "fitted" and "32-bit" not in row.runtime for row in seen)
    unseen = [row for row in rows if row not in seen]
    assert {row.network for row in seen}.isdisjoint(
        row.network for row in unseen if row.split == "held out"
    )
    changed = [row if row in seen else dataclasses.replace(row, ms=row.ms * 2) for row in rows]
    assert np.array_equal(of.runtimes.predicted_ms(rows), of.runtimes.predicted_ms(changed))


# ------------------------------------------------------------------ the order of two


@pytest.fixture(scope="module")
def ranked(of: Modules) -> list[Any]:
    return list(of.ranking.configurations())


@pytest.mark.parametrize(
    ("text", "half"), [("77", 0.5), ("2.094", 0.0005), ("498.06", 0.005), ("424.0", 0.05)]
)
def test_a_published_time_is_as_exact_as_half_a_unit_of_its_last_digit(
    of: Modules, text: str, half: float
) -> None:
    assert of.ranking.rounding(text) == pytest.approx(half)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9), st.sampled_from(("a", "b")))))
def test_pairs_are_of_one_board_and_their_published_times_do_not_touch(
    of: Modules, spans: list[tuple[int, int, str]]
) -> None:
    every = [
        of.ranking.Configuration(str(i), "fp32", "2.5", 4, board, low, low + wide, 1.0, False)
        for i, (low, wide, board) in enumerate(spans)
    ]
    pairs = of.ranking.decided(every)
    for short, long in pairs:
        assert short.board == long.board
        assert short.high < long.low
    apart = [(a, b) for a in every for b in every if a.board == b.board and a.high < b.low]
    assert len(pairs) == len(apart)


def test_equal_predictions_are_not_in_order(of: Modules) -> None:
    one = of.ranking.Configuration("a", "fp32", "2.5", 4, "rpi4", 1.0, 1.0, 5.0, False)
    two = dataclasses.replace(one, network="b", low=2.0, high=2.0)
    (row,) = [r for r in of.ranking.ranking([(one, two)]) if r["pairs"] == "all"]
    assert (row["number"], row["right"]) == ("1", "0")


def test_ranked_predictions_are_the_committed_ones(of: Modules, ranked: list[Any]) -> None:
    found = {(c.runtime, c.network, c.type, c.threads, c.board): c.predicted for c in ranked}
    for line in csv_rows(of.runtimes.ROWS):
        if "32-bit" not in line["runtime"]:  # Other kernels are not counted.
            library = of.runtimes.library_of(line["runtime"])
            network = of.runtimes.FILES.get(line["network"], line["network"])
            key = library, network, line["type"], int(line["threads"]), line["board"]
            # The table is in hundredths of a millisecond, and what is shipped in few digits.
            wanted = pytest.approx(float(line["predicted_ms"]), rel=3e-4, abs=0.006)
            assert found[key] == wanted


def test_the_released_files_milliseconds_are_those_of_the_stored_counts(of: Modules) -> None:
    assert of.released_runtimes.rows() == csv_rows(of.released_runtimes.RESULTS)


def test_the_committed_ranking_is_that_of_the_committed_rows(
    of: Modules, ranked: list[Any]
) -> None:
    made = of.ranking.ranking(of.ranking.decided(ranked))
    assert made == csv_rows(of.ranking.RANKING)


def test_nine_in_ten_pairs_are_predicted_in_the_published_order(of: Modules) -> None:
    rows = {row["pairs"]: row for row in csv_rows(of.ranking.RANKING)}
    for name in ("all", "of two runtimes", "both held out", "as many threads"):
        assert int(rows[name]["right"]) >= 0.9 * int(rows[name]["number"])

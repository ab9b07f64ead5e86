"""Searching within a time: the budget holds, nothing is lost, and the front is a front."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import multiprocessing
import os
import random
import re
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from ghostdepth.commands import app
from ghostdepth_export.search import SearchSpace, StudyPlan, Worker, load_space, open_study
from ghostdepth_export.search.front import dominates, trained_networks, write_front, write_page
from ghostdepth_export.search.study import study_url
from ghostdepth_export.search.training import base_training, short_training, trial_trainer
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.data import read_split
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency
from ghostdepth_train.run_options import silent
from typer.testing import CliRunner

from tests import forks

optuna = pytest.importorskip("optuna")
HEARTBEAT = (1, 4)
SPACE = SearchSpace(
    sizes=((32, 32), (64, 64)),
    shallow=(0.1, 0.2, 0.3),
    deep=(0.05, 0.1, 0.2),
    levels=(1, 2),
    decoder=(0.25, 0.5),
)


def plan(ms: float = 1.0) -> StudyPlan:
    return StudyPlan(SPACE, LatencyBudget(ms=ms), load_train_config("tiny"), "formulas")


def cost(network: DepthNet) -> float:
    return sum(row.macs for row in layer_costs(network)) / 1e6


def error(config: TrainConfig) -> float:
    """Better with more pixels, and with more weights."""
    network = DepthNet(config.network)
    weights = sum(p.numel() for p in network.parameters())
    return 1 / config.network.input_height + 1000 / weights


def study(tmp_path: Path, ms: float = 1.0) -> Any:
    return open_study(study_url(tmp_path / "study.db"), plan(ms), HEARTBEAT)


def worker(opened: Any, tmp_path: Path, ms: float = 1.0, **more: Any) -> Worker:
    options = {"cost": cost, "train": lambda config, folder: error(config), "poll": 0.2, **more}
    return Worker(opened, plan(ms), out=tmp_path / "runs", **options)


def states(opened: Any) -> Counter[str]:
    return Counter(trial.state.name for trial in opened.get_trials())


def test_nothing_above_the_budget_is_trained(tmp_path: Path) -> None:
    trained: list[float] = []

    def train(config: TrainConfig, folder: Path) -> float:
        trained.append(cost(DepthNet(config.network)))
        return error(config)

    opened = study(tmp_path, 0.8)
    # The sampler is random: one trial is surely below the budget and one above it.
    for size, shallow, deep in (("32x32", 0.1, 0.05), ("64x64", 0.3, 0.2)):
        opened.enqueue_trial({"size": size, "shallow": shallow, "deep": deep})
    worker(opened, tmp_path, 0.8, train=train).run(12)
    assert states(opened)["PRUNED"] and states(opened)["COMPLETE"]
    assert trained and max(trained) <= 0.8
    assert len(opened.get_trials()) == 12
    pruned = [t for t in opened.get_trials() if t.state.name == "PRUNED"]
    assert all(t.user_attrs["ms"] > 0.8 and t.constraints["budget"] > 0 for t in pruned)
    assert all(row.ms <= 0.8 for row in trained_networks(opened))


def test_the_front_is_what_nothing_beats_and_its_configs_train(tmp_path: Path) -> None:
    opened = study(tmp_path)
    worker(opened, tmp_path).run(12)
    rows = trained_networks(opened)
    points = {row.trial: (row.ms, row.si_rmse) for row in rows}
    best = {n for n, p in points.items() if not any(dominates(q, p) for q in points.values())}
    assert {row.trial for row in rows if row.front} == best
    base = load_train_config("tiny")
    paths = write_front(tmp_path, rows, base)
    with (tmp_path / "front.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(line["trial"]) for line in table] == [row.trial for row in rows if row.front]
    for path, line in zip(paths, table, strict=True):
        config = load_train_config(str(path))
        assert config.model_copy(update={"network": base.network}) == base
        assert cost(DepthNet(config.network)) == pytest.approx(float(line["ms"]), abs=1e-3)
        assert error(config) == pytest.approx(float(line["si_rmse"]), abs=1e-5)
    budget = LatencyBudget(ms=1.0)
    for where, shown in (
        (budget, "int8 file with 4 threads on a Raspberry Pi 4;"),
        (budget.model_copy(update={"board": "rpi5"}), "int8 file with 4 threads on rpi5;"),
    ):
        write_page(tmp_path / "search.html", rows, where)
        page = (tmp_path / "search.html").read_text()
        assert f"predicted for the {shown}" in page
    assert page.count('<th scope="row">') == len(best)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert page.count("<svg ") == 2 and len(ids) == len(set(ids))


def test_another_start_goes_on_with_the_study(tmp_path: Path) -> None:
    worker(study(tmp_path), tmp_path).run(3)
    before = [(t.number, t.params, t.values) for t in study(tmp_path).get_trials()]
    worker(study(tmp_path), tmp_path).run(5)
    after = [(t.number, t.params, t.values) for t in study(tmp_path).get_trials()]
    assert len(before) == 3 and len(after) == 5 and after[:3] == before
    worker(study(tmp_path), tmp_path, train=None, cost=None).run(5)  # There is nothing left to do.


@pytest.mark.slow
def test_a_trial_that_was_killed_is_failed_and_repeated_where_it_was(tmp_path: Path) -> None:
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def hang(_: TrainConfig, run: Path) -> float:
        sending.send(run.name)
        time.sleep(600)
        raise AssertionError

    # No network is above this budget: the sampler is random, and the first one has to be trained.
    budget = 9.0
    opened = study(tmp_path, budget)
    process = forks.start(
        lambda: worker(study(tmp_path, budget), tmp_path, budget, train=hang).run(1)
    )
    sending.close()
    folder = receiving.recv()
    process.kill()
    process.join()
    (killed,) = opened.get_trials()
    assert killed.state.name == "RUNNING" and folder == killed.user_attrs["run"]
    folders: list[str] = []

    def train(config: TrainConfig, run: Path) -> float:
        folders.append(run.name)
        return error(config)

    # As many trials as there are: the dead one has to be waited for.
    worker(opened, tmp_path, budget, train=train).run(1)
    dead, again = opened.get_trials()
    assert (dead.state.name, again.state.name) == ("FAIL", "COMPLETE")
    assert again.params == dead.params and folders == [folder]


@pytest.mark.slow
def test_two_workers_share_a_study(tmp_path: Path) -> None:
    def train(config: TrainConfig, _: Path) -> float:
        time.sleep(0.2)
        return error(config)

    def work() -> None:
        worker(study(tmp_path), tmp_path, train=train).run(10)

    workers = [forks.start(work) for _ in range(2)]
    for process in workers:
        process.join()
    assert [process.exitcode for process in workers] == [0, 0]
    trials = study(tmp_path).get_trials()
    assert not states(study(tmp_path))["RUNNING"] and not states(study(tmp_path))["FAIL"]
    assert 10 <= len(trials) <= 11  # Both may begin the last one.
    assert all(t.values[0] <= 1.0 for t in trials if t.values)


def test_a_failed_trial_is_passed_over_and_three_in_a_row_end_the_search(tmp_path: Path) -> None:
    calls: list[int] = []

    def fails_at_first(config: TrainConfig, folder: Path) -> float:
        calls.append(1)
        if len(calls) < 3:
            raise UserError("the loss became nan")
        return error(config)

    opened = study(tmp_path, 9)
    worker(opened, tmp_path, 9, train=fails_at_first).run(2)
    assert states(opened) == {"FAIL": 2, "COMPLETE": 2}
    calls.clear()

    def fails(network: DepthNet) -> float:
        raise UserError("qemu-aarch64 is missing")

    with pytest.raises(UserError, match="3 trials in a row failed: qemu-aarch64 is missing"):
        worker(opened, tmp_path, 9, cost=fails).run(9)


def test_minutes_end_it_after_a_trial_and_it_goes_on(tmp_path: Path) -> None:
    opened, told = study(tmp_path, 9), list[int]()
    limited = worker(opened, tmp_path, 9, on_trial=lambda done, seconds: told.append(done))
    assert limited.run(3, minutes=0) == 1
    assert limited.run(3, minutes=60) == 3
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("key", "by"),
    [
        ("epochs", "--epochs"),
        ("network", "--space"),
        ("network.decoder.widths", "--space"),
        ("network.encoder.width_multiplier", "shallow and deep"),
    ],
)
def test_a_setting_that_the_search_chooses_is_refused(key: str, by: str) -> None:
    with pytest.raises(UserError, match=f"--set {key}: .* is chosen by .*{by}"):
        base_training("ghostnet-s", {key: 1})


def test_other_settings_are_of_the_config() -> None:
    base = base_training("ghostnet-s", {"learning_rate": 0.5, "network.depth_max": 20})
    assert (base.learning_rate, base.network.depth_max) == (0.5, 20)
    with pytest.raises(UserError, match="did you mean learning_rate"):
        base_training("ghostnet-s", {"learning_rat": 1})


def test_a_trial_that_died_before_its_first_sign_of_life_is_not_waited_for(tmp_path: Path) -> None:
    opened = study(tmp_path, 9)
    with pytest.warns(UserWarning, match="Heartbeat"):
        opened.ask()
    worker(opened, tmp_path, 9).run(1)
    assert states(opened) == {"FAIL": 1, "COMPLETE": 1}


def test_an_interrupted_trial_is_queued_again(tmp_path: Path) -> None:
    def interrupted(config: TrainConfig, folder: Path) -> float:
        raise KeyboardInterrupt

    opened = study(tmp_path, 9)
    with pytest.raises(KeyboardInterrupt):
        worker(opened, tmp_path, 9, train=interrupted).run(1)
    worker(opened, tmp_path, 9).run(1)
    first, second = opened.get_trials()
    assert (first.state.name, second.state.name) == ("FAIL", "COMPLETE")
    assert first.params == second.params
    assert first.user_attrs["run"] == second.user_attrs["run"]


def test_a_study_of_another_search_is_refused_by_what_differs(tmp_path: Path) -> None:
    study(tmp_path)
    with pytest.raises(UserError, match="another budget; choose another --study"):
        study(tmp_path, 2)


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(UserError, match="cannot open the study") as caught:
        study(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_not_opened_as_a_study(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "study.db")
    with pytest.raises(UserError, match="it is a pipe"):
        study(tmp_path)


def test_a_run_of_a_study_from_elsewhere_stays_in_its_folder(tmp_path: Path) -> None:
    opened = study(tmp_path, 9)
    opened.enqueue_trial({}, user_attrs={"run": "../../outside"})
    trained: list[str] = []
    lines: list[str] = []

    def train(config: TrainConfig, folder: Path) -> float:
        trained.append(folder.name)
        return error(config)

    worker(opened, tmp_path, 9, train=train, say=lines.append).run(1)
    assert trained == ["trial-0001"]
    assert any("the run of trial 0" in line and "no plain file name" in line for line in lines)


def test_a_study_whose_plan_is_none_is_refused(tmp_path: Path) -> None:
    study(tmp_path).set_user_attr("plan", ["x"])
    with pytest.raises(UserError, match="holds a search with another"):
        study(tmp_path)


def test_without_optuna_the_line_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"ghostdepth\[search\]"):
        study(tmp_path)


def test_a_space_may_be_a_file_and_a_wrong_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("sizes: [[64, 96]]\nse: [false]\n")
    space = load_space(str(path))
    assert space.sizes == ((64, 96),) and space.se == (False,) and space.levels == (2, 3, 4)
    path.write_text("levels: []\n")
    with pytest.raises(UserError, match="levels"):
        load_space(str(path))


def test_a_warm_up_never_fills_the_short_training() -> None:
    assert short_training(load_train_config("ghostnet-s"), 1).warmup_epochs == 0.1
    assert short_training(load_train_config("ghostnet-s"), 75).warmup_epochs == 3


def test_patience_needs_an_evaluation_after_each_epoch_and_is_of_the_plan() -> None:
    base = load_train_config("ghostnet-s")
    assert [short_training(base, 5, patience).eval_every for patience in (None, 2)] == [5, 1]
    # A study from before there was a patience is one without.
    assert "patience" not in plan().to_json()
    assert dataclasses.replace(plan(), patience=2).to_json()["patience"] == 2


@pytest.mark.slow
def test_the_command_searches_and_says_where_the_front_is(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostdepth_export.pi4 import budget

    class Clock:
        def __init__(self, **_: Any) -> None:
            pass

        def __call__(self, network: DepthNet, _: Any) -> list[LayerLatency]:
            return [LayerLatency("CONV_2D", "", False, cost(network))]

    monkeypatch.setattr(budget, "FileLatency", Clock)
    space = tmp_path / "space.yaml"
    fields = SPACE.model_dump(mode="json") | {"sizes": [[32, 32]]}
    space.write_text("".join(f"{key}: {str(v).lower()}\n" for key, v in fields.items()))
    arguments = ["search", "--budget-ms", "9", "--data", str(dataset), "--out", str(tmp_path / "o")]
    arguments += ["--config", "tiny", "--space", str(space), "--trials", "1", "--epochs", "1"]
    arguments += ["--set", "augment.flip=0.25", "--minutes", "9"]
    arguments += ["--runtime", "litert", "--board", "zero2"]
    result = CliRunner().invoke(app, [*arguments, "--workers", "0"], catch_exceptions=False)
    assert result.exit_code == 0 and "1 of 1 trained networks are on the front" in result.output
    assert "milliseconds in LiteRT on a Raspberry Pi Zero 2 W are predicted" in result.output
    (config,) = (tmp_path / "o" / "front").iterdir()
    network = load_train_config(str(config)).network
    # The same training by hand gives the same accuracy.
    base = base_training("tiny", {"augment.flip": 0.25})
    plain = short_training(base, 1).model_copy(update={"network": network})
    train = trial_trainer(read_split(dataset), "t", 0, silent)
    assert f"{train(plain, tmp_path / 'again'):.5f}" in (tmp_path / "o" / "front.csv").read_text()


def _texts(value: str) -> list[str]:
    """Columns of a study that hold text, each set to the value."""
    columns = {
        "study_user_attributes": "value_json",
        "trial_user_attributes": "value_json",
        "trial_params": "distribution_json",
        "trials": "state",
        "trial_values": "value_type",
        "study_directions": "direction",
        "alembic_version": "version_num",
    }
    return [f"update {table} set {column} = '{value}'" for table, column in columns.items()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a study with two trained networks."""
    folder = tmp_path_factory.mktemp("finished")
    worker(study(folder, 9), folder, 9).run(2)
    return (folder / "study.db").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        *_texts("x"),
        *_texts("[" * 5000),
        *_texts("1" * 5000),
        "update trial_values set value_type = 'INF_POS'",
        "update trial_values set value = 'x'",
        "update trial_params set param_value = 1e300",
        "update trial_user_attributes set value_json = '\"x\"' where key = 'macs'",
        "update trial_user_attributes set value_json = '-1e999' where key = 'parameters'",
        "update trial_user_attributes set value_json = '{\"x\": 1}' where key = 'network'",
        "update trial_user_attributes set value_json = cast(x'fffe' as text)",
        "delete from trial_values",
        "delete from trial_user_attributes",
        "delete from study_directions where objective = 1",
        "update trials set number = null",
        "update trials set datetime_start = 'x'",
        "alter table trials rename column state to other",
        "drop table trial_user_attributes",
    ],
)
def test_a_damaged_study_is_refused_in_one_line_before_anything_is_trained(
    tmp_path: Path, finished: bytes, change: str
) -> None:
    (tmp_path / "study.db").write_bytes(finished)
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        database.execute(change)
    with pytest.raises(UserError) as caught:
        study(tmp_path, 9)
    assert "\n" not in str(caught.value) and "another --study" in str(caught.value)


def test_the_password_of_a_database_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"cannot open the study postgresql://me:\*\*\*@127\.0\.0\.1"
    ):
        open_study("postgresql://me:se:cr@et@127.0.0.1:1/studies", plan(9), HEARTBEAT)


@pytest.mark.parametrize("seed", range(12))
def test_a_study_with_damaged_bytes_is_opened_or_refused_in_one_line(
    tmp_path: Path, finished: bytes, seed: int
) -> None:
    chance, data = random.Random(seed), bytearray(finished)
    for _ in range(chance.choice([1, 20, 400, 3000])):
        data[chance.randrange(100, len(data))] = chance.randrange(256)
    (tmp_path / "study.db").write_bytes(data)
    try:
        study(tmp_path, 9)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:"]
)
def test_a_study_that_would_end_with_the_process_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is in memory and ends with this process; name a file"):
        open_study(url, plan())

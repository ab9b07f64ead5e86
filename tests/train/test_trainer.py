"""The training loop: it learns, survives kill -9, and refuses what would mix two runs."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

from tests import forks
from tests.train.making import StopHere, same_tensors, stop_at


def trainer(config: TrainConfig, data: Path, out: Path, *, resume: bool = False) -> Trainer:
    return Trainer(config, read_split(data), RunOptions(out, "t", "test", workers=0, resume=resume))


def test_training_beats_the_untrained_network(data: Path, tiny_config: TrainConfig) -> None:
    longer = tiny_config.model_copy(update={"epochs": 20, "eval_every": 20, "learning_rate": 0.01})
    run = trainer(longer, data, data.parent / "run")
    before = evaluate(run.network, run.split.val)
    after = run.run()[-1]
    # 0.69 to 0.71 of it, as processors round otherwise.
    assert after["si_rmse"] < 0.8 * before.si_rmse


def test_a_run_leaves_checkpoints_and_logs_with_the_metrics_of_the_saved_network(
    data: Path, config: TrainConfig
) -> None:
    out = data.parent / "run"
    history = trainer(config, data, out).run()
    rows = list(csv.DictReader((out / "log.csv").read_text().splitlines()))
    assert [float(r["si_rmse"]) for r in rows] == [r["si_rmse"] for r in history]
    best = load_checkpoint(out / "best").metrics["validation"]
    assert best["si_rmse"] == min(r["si_rmse"] for r in history)
    assert list((out / "tensorboard").glob("events.*"))
    assert (out / "train.json").is_file()
    loaded = load_checkpoint(out / "last")
    metrics = evaluate(loaded.network, read_split(data).val).to_dict()
    assert metrics == pytest.approx({k: loaded.metrics["validation"][k] for k in metrics}, rel=1e-5)


def test_a_run_stopped_in_an_epoch_resumes_to_the_same_result(
    data: Path, config: TrainConfig
) -> None:
    whole, broken = data.parent / "whole", data.parent / "broken"
    trainer(config, data, whole).run()
    with pytest.raises(StopHere):
        trainer(config, data, broken).run(stop_at(4))
    trainer(config, data, broken, resume=True).run()
    same_tensors(whole / "last" / "training.safetensors", broken / "last" / "training.safetensors")
    same_tensors(whole / "best" / "model.safetensors", broken / "best" / "model.safetensors")


@pytest.mark.slow
def test_kill_9_then_resume_gives_the_undisturbed_result(data: Path, config: TrainConfig) -> None:
    short = data.parent / "short.yaml"
    short.write_text(config.model_dump_json())
    whole, broken = data.parent / "whole", data.parent / "broken"
    trainer(config, data, whole).run()
    # The command line itself, with worker processes, as a user has it.
    words = ["train", "--config", short, "--data", data, "--out", broken]
    state = broken / "last" / "training.safetensors"
    forks.kill(*words, once=state.exists)
    forks.run(*words, "--resume")
    same_tensors(whole / "last" / "training.safetensors", state)
    left = [p for p in broken.rglob(".*") if p.is_file()]
    assert not left, f"a resumed run removes what the killed one left, found {left}"


def test_init_starts_from_a_checkpoints_weights(data: Path, config: TrainConfig) -> None:
    first = trainer(config.model_copy(update={"epochs": 1}), data, data.parent / "first")
    first.run()
    options = RunOptions(data.parent / "next", "t", "", workers=0, init=data.parent / "first/best")
    second = Trainer(config, read_split(data), options)
    averaged = first.averaged.module.state_dict()
    for key, value in second.network.state_dict().items():
        torch.testing.assert_close(value, averaged[key], rtol=0, atol=0)


def test_an_existing_run_is_not_overwritten(data: Path, config: TrainConfig) -> None:
    out = data.parent / "run"
    trainer(config.model_copy(update={"epochs": 1}), data, out).run()
    with pytest.raises(UserError, match="--resume"):
        trainer(config, data, out)


def test_resume_with_another_config_names_the_field(data: Path, config: TrainConfig) -> None:
    out = data.parent / "run"
    trainer(config.model_copy(update={"epochs": 1}), data, out).run()
    other = config.model_copy(update={"epochs": 1, "learning_rate": 0.5})
    with pytest.raises(UserError, match="another learning_rate"):
        trainer(other, data, out, resume=True)


def test_resume_on_other_data_of_the_same_count_is_refused(data: Path, config: TrainConfig) -> None:
    out, short = data.parent / "run", config.model_copy(update={"epochs": 1})
    trainer(short, data, out).run()
    photo = next((data / "val" / "rgb").iterdir())
    whole = photo.read_bytes()
    photo.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="another dataset"):
        trainer(short, data, out, resume=True)
    photo.write_bytes(whole)
    photo.touch()
    # The same files elsewhere are the same data.
    trainer(short, data.rename(data.parent / "moved"), out, resume=True)


def test_a_run_that_pauses_goes_on_to_the_undisturbed_result(
    data: Path, config: TrainConfig
) -> None:
    whole, paused = data.parent / "whole", data.parent / "paused"
    rare = config.model_copy(update={"eval_every": 3})
    trainer(rare, data, whole).run()
    options = RunOptions(paused, "t", "test", workers=0, minutes=1e-6)
    first = Trainer(rare, read_split(data), options)
    assert len(first.run()) == 1 and first.ended_by == "minutes"
    assert load_checkpoint(paused / "best").metrics["validation"]["epoch"] == 1
    trainer(rare, data, paused, resume=True).run()
    same_tensors(whole / "last" / "training.safetensors", paused / "last" / "training.safetensors")


def test_patience_ends_a_run_without_a_better_evaluation(data: Path, config: TrainConfig) -> None:
    options = RunOptions(data.parent / "run", "t", "test", workers=0, patience=2)
    run = Trainer(config.model_copy(update={"epochs": 9}), read_split(data), options)
    errors = iter([0.5, 0.4, 0.45, 0.4, 0.1])
    real = run.validate()
    run.validate = lambda: dataclasses.replace(real, si_rmse=next(errors))  # type: ignore[method-assign]
    assert [row["si_rmse"] for row in run.run()] == [0.5, 0.4, 0.45, 0.4]
    assert run.ended_by == "patience"


def test_truncated_state_is_a_clear_line(data: Path, config: TrainConfig) -> None:
    out = data.parent / "run"
    trainer(config.model_copy(update={"epochs": 1}), data, out).run()
    state = out / "last" / "training.safetensors"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(UserError, match=r"training\.safetensors.*truncated"):
        trainer(config.model_copy(update={"epochs": 1}), data, out, resume=True)


def test_divergence_stops_the_run(data: Path, config: TrainConfig) -> None:
    run = trainer(config, data, data.parent / "run")
    with torch.no_grad():
        run.network.head.bias.fill_(float("nan"))  # type: ignore[union-attr]
    with pytest.raises(UserError, match="the loss became nan in epoch 1, step 1"):
        run.run()
    assert not (data.parent / "run" / "last").exists()


@pytest.mark.parametrize(
    ("batch_size", "height", "width", "trains"),
    [(1, 32, 32, False), (2, 32, 32, True), (1, 33, 32, True), (1, 32, 64, True)],
)
def test_batch_norm_with_one_value_is_refused(
    tmp_path: Path, batch_size: int, height: int, width: int, trains: bool
) -> None:
    changes = {"batch_size": batch_size}
    network = load_train_config("tiny").network.model_dump()
    changes["network"] = {**network, "input_height": height, "input_width": width}
    if trains:
        config = load_train_config("tiny", changes)
        net = DepthNet(config.network).train()
        assert net(torch.zeros(batch_size, 3, height, width)).shape[0] == batch_size
        return
    with pytest.raises(UserError, match=r"batch norm gets one value .* raise batch_size to 2"):
        load_train_config("tiny", changes)

"""The method `adder`: convolutions of a trained network become adders, and it trains on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, read_tensors
from ghostdepth_train.compress import Work, compress, load_recipe, run_recipe
from ghostdepth_train.compress.adder import AdderConfig, draw_filters, selected_layers, with_adders
from ghostdepth_train.compress.methods import FinetuneConfig
from ghostdepth_train.config import LiteEncoderConfig, TrainConfig, TrainingConfig
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.adder_conv import AdderConv2d, adder_candidates, adders
from ghostdepth_train.models.network import DepthNet
from torch import Tensor, nn

from tests.train.making import StopHere, same_tensors, saved, stop_at

SHORT = TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-3, warmup_epochs=0)
DECODER = "decoder.0.narrow.0"


@pytest.fixture
def checkpoint(config: TrainConfig, tmp_path: Path) -> Checkpoint:
    return load_checkpoint(saved(tmp_path / "dense", config.network, training_data="rooms"))


def settings(**changes: object) -> AdderConfig:
    return AdderConfig.model_validate({"training": SHORT, **changes})


def test_the_decoders_pointwise_layers_become_adders(checkpoint: Checkpoint, work: Work) -> None:
    result = compress(checkpoint, settings(), work)
    names = result.network.config.adder
    assert len(names) == 9 == len(adders(result.network)) == result.notes["adders"]
    assert all(name.startswith("decoder.") and "depthwise" not in name for name in names)
    assert 0 < result.notes["adder_share_of_macs"] < 1
    assert not adders(checkpoint.network), "what came in was changed"


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"layers": "all"}, 9 + 25),
        ({"layers": "encoder"}, 25),
        ({"layers": "decoder", "depthwise": True}, 12),
        ({"layers": [DECODER, "encoder.blocks.0.0.ghost1.cheap_operation.0"]}, 2),
    ],
)
def test_layers_are_chosen_by_part_kind_or_name(
    checkpoint: Checkpoint, changes: dict[str, object], count: int
) -> None:
    names = selected_layers(checkpoint.network, settings(**changes))
    assert len(names) == count
    assert names == [n for n in adder_candidates(checkpoint.network) if n in names]


def test_all_but_the_replaced_weights_are_kept(checkpoint: Checkpoint) -> None:
    network = with_adders(checkpoint.network, [DECODER], seed=1)
    own = checkpoint.network.state_dict()
    changed = [k for k, v in network.state_dict().items() if not torch.equal(v, own[k])]
    assert changed == [f"{DECODER}.weight"]


def test_new_filters_have_the_moments_of_their_inputs(checkpoint: Checkpoint, work: Work) -> None:
    name = "encoder.blocks.6.1.ghost2.primary_conv.0"
    network = with_adders(checkpoint.network, [name], seed=0)
    seen: list[Tensor] = []
    layer = network.get_submodule(name)
    assert isinstance(layer, AdderConv2d)
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    norm.momentum = 0.03
    draw_filters(network, {name}, settings(), work)
    expected = seen[0].mean((0, 2, 3)), seen[0].std((0, 2, 3))
    weights = layer.weight.detach()[:, :, 0, 0]
    error = (weights.mean(0) - expected[0]) / expected[1].clamp_min(1e-3)
    assert error.abs().max() < 4 / len(weights) ** 0.5
    assert not network.training and norm.momentum == 0.03


def test_seeds_decide_the_result(checkpoint: Checkpoint, work: Work, tmp_path: Path) -> None:
    def weights(folder: str, seed: int) -> Tensor:
        own = dataclasses.replace(work, out=tmp_path / folder)
        network = compress(checkpoint, settings(layers=[DECODER], seed=seed), own).network
        return network.get_submodule(DECODER).weight.detach()  # type: ignore[return-value]

    # That the same seed gives the same is seen by the runs that resume.
    assert not torch.equal(weights("a", 0), weights("b", 1))


def test_a_stopped_run_resumes_to_the_same_result(
    checkpoint: Checkpoint, work: Work, tmp_path: Path
) -> None:
    whole, broken = (dataclasses.replace(work, out=tmp_path / n) for n in ("whole", "broken"))
    run_recipe(tmp_path / "dense", [settings()], whole)
    stopped = dataclasses.replace(broken, on_step=stop_at(3))
    with pytest.raises(StopHere):
        run_recipe(tmp_path / "dense", [settings()], stopped)
    run_recipe(tmp_path / "dense", [settings()], dataclasses.replace(broken, resume=True))
    state = Path("1-adder/run/last/training.safetensors")
    assert f"optimizer.exp_avg.network.{DECODER}.weight" in read_tensors(whole.out / state)[0]
    same_tensors(whole.out / state, broken.out / state)


def test_training_with_adders_learns(checkpoint: Checkpoint, work: Work) -> None:
    training = SHORT.model_copy(update={"epochs": 20, "eval_every": 20, "learning_rate": 0.01})
    before = evaluate(checkpoint.network, work.split.val).si_rmse
    result = compress(checkpoint, settings(layers="all", eta=1, training=training), work)
    assert evaluate(result.network, work.split.val).si_rmse < 0.9 * before


def test_later_steps_keep_the_adders_and_go_on(
    checkpoint: Checkpoint, work: Work, tmp_path: Path
) -> None:
    steps = [settings(layers=[DECODER]), settings(layers="decoder"), FinetuneConfig(training=SHORT)]
    result = load_checkpoint(run_recipe(tmp_path / "dense", steps, work))
    assert len(result.config.adder) == 9
    assert [step["notes"].get("adders") for step in result.metrics["steps"]] == [1, 9, None]


def test_adders_that_are_there_are_trained_on_from_their_weights(
    checkpoint: Checkpoint, work: Work
) -> None:
    before = compress(checkpoint, settings(layers=[DECODER]), work).network
    after = with_adders(before, [DECODER], seed=5)
    torch.testing.assert_close(after.state_dict(), before.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ["head"]}, "no convolution 'head' that can be an adder"),
        ({"layers": []}, "no layer is selected"),
    ],
)
def test_wrong_layers_are_one_clear_line(
    checkpoint: Checkpoint, work: Work, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compress(checkpoint, settings(**changes), work)


def test_a_teachers_encoder_is_refused(checkpoint: Checkpoint, work: Work) -> None:
    encoder = LiteEncoderConfig(kind="efficientnet-lite")
    network = DepthNet(checkpoint.config.model_copy(update={"encoder": encoder}))
    with pytest.raises(UserError, match="adder works on ghostnet encoders"):
        compress(dataclasses.replace(checkpoint, network=network), settings(), work)


@pytest.mark.parametrize("field", ["eta: -1", "layers: everything", "depthwise: maybe", "size: 3"])
def test_wrong_fields_are_named(tmp_path: Path, field: str) -> None:
    (tmp_path / "r.yaml").write_text(f"- method: adder\n  {field}\n")
    with pytest.raises(UserError, match=rf"step 1: adder: {field.partition(':')[0]}"):
        load_recipe(str(tmp_path / "r.yaml"))

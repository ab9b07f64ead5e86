"""The method `average`: the mean of two networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.compress import Work, compress, run_recipe
from ghostdepth_train.compress.methods import method_config

from tests.train.making import SMALL, saved


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_every_weight_lies_between_those_of_the_two_networks(
    tmp_path: Path, work: Work, weight: float
) -> None:
    a, b = (load_checkpoint(saved(tmp_path / str(seed), seed=seed)) for seed in (0, 1))
    config = method_config(
        {"method": "average", "other": str(tmp_path / "1"), "weight": weight}, ""
    )
    result = compress(a, config, work)
    assert result.notes["other"] == f"1 sha256:{b.sha256[:16]}" and result.ranges is None
    for (name, mean), mine, its in zip(
        result.network.named_parameters(),
        a.network.parameters(),
        b.network.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(mean, (1 - weight) * mine + weight * its, msg=name)


def test_a_network_whose_weights_mean_something_else_is_refused(tmp_path: Path, work: Work) -> None:
    config = SMALL.model_copy(update={"depth_max": 9.5, "hfov": 57.0})
    other = saved(tmp_path / "other", config, seed=1)
    method = method_config({"method": "average", "other": str(other)}, "")
    with pytest.raises(UserError, match=r"differ in network\.depth_max"):
        compress(load_checkpoint(saved(tmp_path / "start")), method, work)


@pytest.mark.parametrize("what", ["is not a checkpoint folder", "of other widths than start"])
def test_another_network_that_does_not_fit_is_refused_before_the_run_begins(
    tmp_path: Path, work: Work, what: str
) -> None:
    decoder = SMALL.decoder.model_copy(update={"widths": (8, 8, 8)})
    other = tmp_path / "other"
    if what.startswith("of other widths"):
        saved(other, SMALL.model_copy(update={"decoder": decoder}), seed=1)
    config = method_config({"method": "average", "other": str(other)}, "")
    with pytest.raises(UserError, match=what):
        run_recipe(saved(tmp_path / "start"), [config], work)
    assert not (work.out / "recipe.json").exists()

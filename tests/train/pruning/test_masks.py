"""Masks of weights: the highest scores stay, masked weights do not come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.pruning.masks import (
    Masking,
    count,
    empty_layers,
    keep_top,
    kept_fraction,
    present,
    require_path,
)
from torch import nn


def test_the_highest_scores_of_all_layers_stay() -> None:
    scores = {"a": torch.tensor([[1.0, 5.0]]), "b": torch.tensor([[4.0], [2.0], [9.0]])}
    among = {"a": torch.tensor([[True, True]]), "b": torch.tensor([[True], [True], [False]])}
    masks = keep_top(scores, 2, among)
    assert masks["a"].tolist() == [[False, True]]
    assert masks["b"].tolist() == [[True], [False], [False]]
    assert (count(masks), kept_fraction(masks)) == (2, 2 / 5)


def test_equal_scores_still_give_the_exact_count() -> None:
    among = {"a": torch.ones(3, 3, dtype=torch.bool), "b": torch.ones(2, 2, dtype=torch.bool)}
    masks = keep_top({"a": torch.zeros(3, 3), "b": torch.zeros(2, 2)}, 10, among)
    assert count(masks) == 10
    assert masks["a"].all()


@pytest.mark.parametrize("keep", [0, 5])
def test_more_than_there_is_or_nothing_cannot_be_kept(keep: int) -> None:
    with pytest.raises(UserError, match=f"cannot keep {keep} weights: the network has 4"):
        keep_top({"a": torch.rand(2, 2)}, keep, {"a": torch.ones(2, 2, dtype=torch.bool)})


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_masked_weights_stay_zero_and_do_not_reach_the_optimiser(
    kind: Callable[..., torch.optim.Optimizer],
) -> None:
    network = nn.Linear(4, 3)
    mask = torch.rand(3, 4) < 0.5
    optimiser = kind(network.parameters(), lr=0.1, weight_decay=0.1)
    masking = Masking(network, {"weight": mask})
    for _ in range(3):
        optimiser.zero_grad()
        network(torch.randn(2, 4)).square().sum().backward()
        assert network.weight.grad is not None
        assert not network.weight.grad[~mask].any()
        optimiser.step()
        masking.apply()
    dropped = network.weight.detach()[~mask]
    assert torch.equal(dropped.view(torch.int32), torch.zeros_like(dropped, dtype=torch.int32))
    assert network.weight.detach()[mask].all()


def test_a_network_without_a_path_is_refused() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    require_path(network, (1, 2))
    network[1].weight.data.zero_()
    with pytest.raises(UserError, match="pruned to nothing"):
        require_path(network, (1, 2))
    assert empty_layers(present(network)) == ["1.weight"]

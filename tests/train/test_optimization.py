"""Schedule and moving average against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from ghostdepth_train.config import load_train_config
from ghostdepth_train.optimization import averaged_model, make_schedule
from torch import nn


@pytest.mark.parametrize(("warmup_epochs", "first"), [(1, 0), (0.25, 0), (0, 3), (5, 0), (9, 41)])
def test_the_rate_rises_linearly_then_falls_as_half_a_cosine(
    warmup_epochs: float, first: int
) -> None:
    config = load_train_config("tiny", {"epochs": 5, "warmup_epochs": warmup_epochs})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.learning_rate)
    schedule = make_schedule(optimizer, 10, config, first)
    warmup = 10 * warmup_epochs
    for step in range(first, 50):
        fraction = (
            (step + 1) / warmup
            if step < warmup
            else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (50 - warmup)))
        )
        assert schedule.get_last_lr()[0] == pytest.approx(config.learning_rate * fraction, 1e-12)
        optimizer.step()
        schedule.step()


def test_the_average_moves_faster_at_first_and_copies_counters() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    averaged = averaged_model(model, 0.5)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    for step in range(20):
        with torch.no_grad():
            for value in model.state_dict().values():
                value.copy_(torch.randn(value.shape) * 9)
        averaged.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value
            else:
                expected[key] = value
            torch.testing.assert_close(averaged.module.state_dict()[key], expected[key])

"""The page of a training run: what it keeps, and that it cannot end a training."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench_depth.core.dataset import list_pairs
from ghostdepth_export.pages.training_page import PAGE, PICTURES, DepthHistory, TrainingPage
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.models.network import DepthNet


def row(epoch: int, **more: float) -> dict[str, float]:
    return {"epoch": epoch, "loss": 1 / epoch, "learning_rate": 0.1, "images_per_second": 2, **more}


def validated(epoch: int) -> dict[str, float]:
    return row(epoch, si_rmse=0.3, rmse=0.5, delta_1=0.6)


@pytest.fixture
def trainer(make_network: Callable[..., DepthNet], dataset: Path, tmp_path: Path) -> Any:
    """What the page takes of a run that has just validated its second epoch."""
    save_checkpoint(tmp_path / "last", make_network(), name="x", training_data="-", metrics={})
    return SimpleNamespace(
        options=SimpleNamespace(out=tmp_path, name="<b>toy</b>"),
        split=SimpleNamespace(val=list_pairs(dataset)),
        config=SimpleNamespace(epochs=9),
        history=[row(1), validated(2)],
    )


def test_it_is_written_after_validations_and_continued_by_a_resumed_run(
    trainer: Any, tmp_path: Path
) -> None:
    said: list[str] = []
    state = torch.random.get_rng_state()
    page = TrainingPage(trainer, said.append)
    page(row(1))
    assert not (tmp_path / PAGE).exists()
    page(trainer.history[-1])
    assert torch.equal(state, torch.random.get_rng_state())
    text = (tmp_path / PAGE).read_text()
    # A photo, its ground truth and one depth map each, all in the page itself.
    assert text.count("<img ") == 3 * 3
    assert text.count('src="data:image/') == 3 * 3
    assert "&lt;b&gt;toy" in text and "<b>toy" not in text
    trainer.history += [row(3), validated(4)]
    TrainingPage(trainer, said.append)(trainer.history[-1])
    assert (tmp_path / PAGE).read_text().count("<img ") == 3 * 4
    assert said == [f"page of the training: {tmp_path / PAGE}"] * 2


def test_what_stops_the_page_is_said_once_and_the_training_goes_on(
    trainer: Any, tmp_path: Path
) -> None:
    (tmp_path / PICTURES).write_text('{"names": 3}')
    said: list[str] = []
    page = TrainingPage(trainer, said.append)
    page(trainer.history[-1])
    page(trainer.history[-1])
    assert len(said) == 1 and said[0].startswith("warning: the page of the run is not written")


@pytest.mark.parametrize("every", [1, 3])
def test_few_validations_are_kept_and_they_are_spread(every: int) -> None:
    pictures = DepthHistory(["a"], {"77": ["of another run"]})
    epochs: list[int] = []
    for epoch in range(every, 200 * every, every):
        epochs.append(epoch)
        pictures.add(epoch, [str(epoch)], epochs)
        kept = [int(each) for each in pictures.epochs]
        assert len(kept) == min(len(epochs), 8)
        assert (kept[0], kept[-1]) == (every, epoch)
        gaps = [after - before for before, after in itertools.pairwise(kept)]
        assert max(gaps, default=0) <= max(epoch / 2, every)
    assert pictures.epochs[str(kept[3])] == [str(kept[3])]
    # A run that was killed continues from an earlier epoch.
    pictures.add(every, ["again"], [every])
    assert pictures.epochs == {str(every): ["again"]}

"""Compression of networks with an EfficientNet-Lite encoder, by the methods that GhostNet has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.compress import run_recipe
from ghostdepth_train.compress.block_removal import DropBlocksConfig, drop_blocks
from ghostdepth_train.compress.recipe import load_recipe
from ghostdepth_train.config import LiteEncoderConfig, NetworkConfig, parse_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import find_axes, prune_channels

from tests.train.making import random_network, work
from tests.train.pruning.engine import pruned_as_by_the_engine, random_keep

pytest.importorskip("efficientnet_lite_pytorch")

# Every kind of block: without expansion, with and without a shortcut, and widths that change
# without a stride.
NETWORK = NetworkConfig.model_validate(
    {
        "input_height": 32,
        "input_width": 64,
        "encoder": {"kind": "efficientnet-lite", "blocks": 12},
        "decoder": {"widths": [8, 8, 8]},
    }
)
# No two widths are equal but those that sums hold equal.
STEM, OUT = 12, (8, 10, 10, 14, 14, 18, 18, 18, 22, 22, 22, 26)
WIDTHS = [{"mid": 12 if not i else 40 + i, "out": out} for i, out in enumerate(OUT)]


@pytest.fixture
def small() -> DepthNet:
    return random_network(network_of())


def network_of(**changes: Any) -> NetworkConfig:
    """The network with narrow widths, and changes to its encoder."""
    value = NETWORK.model_dump(mode="json")
    value["encoder"] |= {"stem": STEM, "widths": WIDTHS} | changes
    return parse_config(NetworkConfig, value, "test")


def test_the_widths_of_the_variant_spelled_out_give_its_network() -> None:
    plain = random_network(NETWORK)
    spelled = prune_channels(plain, find_axes(plain), {})
    encoder = spelled.config.encoder
    assert isinstance(encoder, LiteEncoderConfig)
    # Tan and Le 2019, table 1, and the six times wider inside of every block but the first.
    outs = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192)
    mids = (32, *(6 * out for out in outs[:-1]))
    assert encoder.stem == 32
    assert [(width.mid, width.out) for width in encoder.widths or ()] == [
        *zip(mids, outs, strict=True)
    ]
    x = torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(spelled(x), plain(x), rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_plain_config_gives_what_the_engine_gives(small: DepthNet, seed: int) -> None:
    axes = find_axes(small)
    keep = random_keep(axes, np.random.default_rng(seed))
    pruned = pruned_as_by_the_engine(small, axes, keep)
    widths = {axis.name: axis.width for axis in find_axes(pruned)}
    assert widths == {name: len(parts[0]) for name, parts in keep.items()}


def test_blocks_that_are_added_up_share_a_width(small: DepthNet) -> None:
    axes = {axis.name: axis for axis in find_axes(small)}
    unit = {piece.module for piece in axes["encoder.widths.5.out"].parts[0][1][0]}
    assert {f"encoder.net._blocks.{i}._project_conv" for i in (5, 6, 7)} <= unit
    assert not {"encoder.widths.6.out", "encoder.widths.7.out"} & set(axes)
    # The first block expands nothing: its depthwise convolution has the stem's channels.
    unit = {piece.module for piece in axes["encoder.stem"].parts[0][1][0]}
    assert "encoder.net._blocks.0._depthwise_conv" in unit
    assert "encoder.widths.0.mid" not in axes


def test_a_block_without_a_sum_stays_one_where_its_widths_meet(small: DepthNet) -> None:
    axes = find_axes(small)
    keep = {f"encoder.widths.{i}.out": [list(range(9))] for i in (5, 8)}
    pruned_as_by_the_engine(small, axes, keep)


def test_every_method_works_on_it_and_the_result_is_exported(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        """
- {method: prune, macs: 0.7, importance: taylor, global_pruning: true, round_to: 2, min_channels: 2}
- {method: drop_blocks, levels: 2, upsample: 2}
- {method: calibrate, equalization: true, bias_correction: true, images: 8}
- {method: qat, start: {images: 8}, training: {epochs: 1, warmup_epochs: 0}}
"""
    )
    start = tmp_path / "start"
    network = random_network(network_of())
    save_checkpoint(start, network, name="lite", training_data="test", metrics={})
    done = run_recipe(
        start, load_recipe(str(tmp_path / "recipe.yaml")), work(data, tmp_path / "run")
    )
    files = export(done, tmp_path / "files", formats=("int8.tflite",))
    assert len(files) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": 13}, "13 blocks, and `widths` is of 12"),
        ({"stem": 14}, r"widths.0.mid is 12, and must be 14"),
        (
            {"widths": [*WIDTHS[:2], {"mid": 42, "out": 11}, *WIDTHS[3:]]},
            r"widths.2.out is 11, and must be 10",
        ),
        ({"stem": None}, "give both `stem` and `widths`, or neither"),
        ({"widths": [{"mid": 4096, "out": 4096}] * 60}, "million weights"),
    ],
)
def test_widths_that_do_not_fit_are_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DepthNet(network_of(**changes))


def test_a_block_that_cannot_be_removed_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="these can: none, as the encoder is no GhostNet"):
        drop_blocks(random_network(NETWORK), DropBlocksConfig(blocks=("0.0",)))

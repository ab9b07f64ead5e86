"""The table of compression methods, and how one is read from a recipe and applied.

Plain further training, another size of the input and a border around it, which need no module of
their own, are here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from bench_depth.core.errors import UserError

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress import (
    adder,
    average,
    block_removal,
    calibrate,
    distil,
    lottery,
    prune,
    qat,
    scale,
    snip,
)
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.compress.scale import multiply_depth
from ghostdepth_train.config import NetworkConfig, TrainingConfig, parse_config, require_encoder
from ghostdepth_train.config.fields import Border, Side
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet


class FinetuneConfig(Method):
    """Settings of further training, for example after a step that removed something.

    Attributes:
        training: Training settings.
    """

    method: Literal["finetune"] = "finetune"
    training: TrainingConfig = TrainingConfig(epochs=30, learning_rate=1e-3, warmup_epochs=1)


def _finetune(checkpoint: Checkpoint, config: FinetuneConfig, work: Work) -> Compressed:
    return Compressed(work.train(checkpoint.network, config.training, config.seed))


class InputSizeConfig(Method):
    """Another size of the network's input: the same weights see a smaller or larger picture.

    A convolution's cost is proportional to the pixels that it sees (Tan and Le, "EfficientNet",
    ICML 2019, section 3.2, where resolution is one of three ways to scale a network). Nothing is
    trained: that is left to the recipe's next step.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
    """

    method: Literal["input_size"] = "input_size"
    height: Side
    width: Side


def _resize_input(checkpoint: Checkpoint, config: InputSizeConfig, work: Work) -> Compressed:
    value = checkpoint.config.model_dump()
    value |= {"input_height": config.height, "input_width": config.width}
    network = DepthNet(parse_config(NetworkConfig, value, "input_size"))
    network.load_state_dict(checkpoint.network.state_dict())
    work.log(f"the network's input is {config.height}x{config.width}; evaluating")
    return _evaluated(network, work)


class BorderConfig(Method):
    """A border of the picture's mirror image, within the size that the encoder sees already.

    The picture becomes smaller by as much, so that the time stays, and all depth is multiplied by
    the ratio of the sizes: through the same lens, what fills less of a picture is farther away.
    Nothing is trained. On which cameras the same weights see better so: docs/LOG.md.

    Attributes:
        rows: Rows of the border above and below, pixels of the network's input.
        columns: Columns of the border left and right.
    """

    method: Literal["border"] = "border"
    rows: Border
    columns: Border


def _set_border(checkpoint: Checkpoint, config: BorderConfig, work: Work) -> Compressed:
    old, border = checkpoint.config, (config.rows, config.columns)
    sides = [side - 2 * count for side, count in zip(old.grid_size, border, strict=True)]
    size = {"input_height": sides[0], "input_width": sides[1]}
    value = old.model_dump() | {"border": border} | size
    network = DepthNet(parse_config(NetworkConfig, value, "border"))
    network.load_state_dict(checkpoint.network.state_dict())
    smaller = math.sqrt(math.prod(sides) / math.prod(old.input_size))
    multiply_depth(network, smaller)
    height, width = old.grid_size
    work.log(f"the picture is {sides[0]}x{sides[1]} within {height}x{width}; evaluating")
    return _evaluated(network, work)


def _evaluated(network: DepthNet, work: Work) -> Compressed:
    validation = evaluate(network.eval(), work.split.val).to_dict()
    return Compressed(network, {"validation": validation})


METHODS: dict[str, tuple[type[Method], Callable[[Checkpoint, Any, Work], Compressed]]] = {
    "snip": (snip.SnipConfig, snip.apply),
    "lottery": (lottery.LotteryConfig, lottery.apply),
    "prune": (prune.PruneConfig, prune.apply),
    "input_size": (InputSizeConfig, _resize_input),
    "border": (BorderConfig, _set_border),
    "drop_blocks": (block_removal.DropBlocksConfig, block_removal.apply),
    "distil": (distil.DistilConfig, distil.apply),
    "calibrate": (calibrate.CalibrateConfig, calibrate.apply),
    "qat": (qat.QatConfig, qat.apply),
    "scale": (scale.ScaleConfig, scale.apply),
    "average": (average.AverageConfig, average.apply),
    "adder": (adder.AdderConfig, adder.apply),
    "finetune": (FinetuneConfig, _finetune),
}

# Former names, as recipes and results of earlier versions have them.
FORMER_NAMES = {"cut": "drop_blocks"}

# Methods whose treatment of a convolution's weights is wrong or meaningless for an adder.
NO_ADDERS = ("snip", "lottery", "calibrate", "qat")


def method_config(value: Any, where: str) -> Method:
    """Parses one step of a recipe.

    Args:
        value: Mapping with `method` and the fields of that method.
        where: Prefix of error messages.

    Raises:
        UserError: The method does not exist, or a field is unknown, missing or out of range.
    """
    given = value.get("method") if isinstance(value, Mapping) else None
    name = FORMER_NAMES.get(str(given), given)
    if not isinstance(name, str) or name not in METHODS:
        raise UserError(f"{where}: unknown method {given!r}; choose from {', '.join(METHODS)}")
    return parse_config(METHODS[name][0], {**value, "method": name}, f"{where}: {name}")


def compress(checkpoint: Checkpoint, config: Method, work: Work) -> Compressed:
    """Applies one method.

    Args:
        checkpoint: Any depth network of this project, compressed before or not.
        config: Settings of the method; their class selects it.
        work: Data, output folder and callbacks.

    Raises:
        UserError: The method cannot be applied to this network or data.
    """
    if checkpoint.config.adder and config.method in NO_ADDERS:
        raise UserError(
            f"{config.method} works on convolutions; this network has "
            f"{len(checkpoint.config.adder)} adders, put the step before `adder`"
        )
    require_encoder(checkpoint.config, config.method, *config.encoders)
    result = METHODS[config.method][1](checkpoint, config, work)
    result.network.eval()
    return result

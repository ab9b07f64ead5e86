"""Another size of the network's input: the same weights look at a smaller or larger picture.

The cost of a convolution is proportional to the pixels that it sees (Tan and Le, "EfficientNet",
ICML 2019, section 3.2, where resolution is one of three ways to scale a network).
"""

from __future__ import annotations

from typing import Literal

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import NetworkConfig, parse_config
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet


class InputSizeConfig(Method):
    """The new size. Nothing is trained: that is left to the recipe's next step.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
    """

    method: Literal["input_size"] = "input_size"
    height: int
    width: int


def apply(checkpoint: Checkpoint, config: InputSizeConfig, work: Work) -> Compressed:
    """Builds the network for the new size, with all weights, and evaluates it.

    Raises:
        UserError: The network cannot have that size.
    """
    value = checkpoint.config.model_dump()
    value |= {"input_height": config.height, "input_width": config.width}
    network = DepthNet(parse_config(NetworkConfig, value, "input_size"))
    network.load_state_dict(checkpoint.network.state_dict())
    work.log(f"the network's input is {config.height}x{config.width}; evaluating")
    validation = evaluate(network.eval(), work.split.val).to_dict()
    return Compressed(network, {"validation": validation})

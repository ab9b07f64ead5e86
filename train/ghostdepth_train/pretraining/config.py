"""The settings of a pretraining, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from ghostdepth_train.config import TrainConfig, load_train_config, parse_config
from ghostdepth_train.config.fields import BatchSize
from ghostdepth_train.config.settings import with_settings


class PretrainConfig(TrainConfig):
    """A whole pretraining; what is not listed here means what it means in a training.

    Attributes:
        method: `skip-gram`: a patch predicts the patches around it; `cbow`: the mean of the patches
            around it predicts a patch; `features`: the encoder matches the features of a teacher.
        stride: Side of a patch in pixels of the network's input, and stride of the feature map.
        window: Side of the square of patches around a patch, odd. The reach to each side is drawn
            from 1 to half of it for every patch, so that near patches count more.
        codes: Number of codes of the codebook, the size of the vocabulary.
        channels: Number of channels of the input and output vectors.
        negatives: Number of negative codes for every positive one.
        smoothing: Exponent of the codes' counts in the distribution of the negatives.
        subsample: Frequency t above which patches of a code are left out, each with probability
            1 - sqrt(t / f); 0 for none. By default about the mean frequency of a code: a text has
            a thousand times as many words, hence the paper's 1e-5.
        hidden: Fraction of the patches that the encoder does not see, from 0 to below 1; if it is
            above 0, only these are predicted, and only from those that are kept. The features of
            a patch are made of pixels of its neighbours too, which a word's vector never sees.
        teacher: For `features`: a checkpoint folder, `efficientnet-lite0` to `-lite2`, or a timm
            name.
    """

    method: Literal["skip-gram", "cbow", "features"] = "skip-gram"
    stride: Literal[16, 32] = 16
    window: int = pydantic.Field(default=3, ge=3, le=63)
    codes: int = pydantic.Field(default=256, ge=2, le=65536)
    channels: int = pydantic.Field(default=64, ge=1, le=4096)
    negatives: int = pydantic.Field(default=5, ge=1, le=1000)
    smoothing: float = pydantic.Field(default=0.75, ge=0, le=4)
    subsample: float = pydantic.Field(default=4e-3, ge=0, le=1)
    hidden: float = pydantic.Field(default=0.5, ge=0, le=0.95)
    teacher: str = "efficientnet-lite0"
    epochs: int = pydantic.Field(default=30, ge=1, le=100_000)
    batch_size: BatchSize = 16
    warmup_epochs: float = pydantic.Field(default=1.0, ge=0, le=100_000)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches of the network's input."""
        network = self.network
        return -(-network.input_height // self.stride), -(-network.input_width // self.stride)

    @pydantic.model_validator(mode="after")
    def _window_fits(self) -> PretrainConfig:
        if self.window % 2 == 0:
            raise ValueError(f"window {self.window} is even; it is centred on a patch: give 3 or 5")
        if self.method != "features" and min(self.grid) < self.window:
            rows, columns = self.grid
            raise ValueError(
                f"a network input of {self.network.input_height}x{self.network.input_width} has "
                f"{rows}x{columns} patches of {self.stride}x{self.stride} pixels, fewer than the "
                f"window of {self.window}x{self.window}; lower window or stride, or raise the input"
            )
        return self


def load_pretrain_config(
    name: str,
    changes: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> PretrainConfig:
    """The pretraining of the network of a training config, whose other fields do not matter.

    Args:
        name: Name of a config, or path of a YAML file.
        changes: Top-level fields of `PretrainConfig`.
        settings: Values by dotted key that override both, see `settings.parse_settings`.

    Raises:
        UserError: No such config, not YAML, or a field is unknown or out of range.
    """
    network = load_train_config(name).network.model_dump(mode="json")
    # The cell of a stream is behind the encoder, and needs clips.
    network["decoder"]["stream"] = None
    value = {"network": network, **(changes or {})}
    value = with_settings(value, settings or {}, PretrainConfig)
    return parse_config(PretrainConfig, value, f"pretraining of {name}")

"""Blocks of a network that encoder and decoder share: attention, the cell of a stream."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from ghostdepth_train.config.fields import MAX_CHANNELS, Config


class AttentionConfig(Config):
    """One attention block (see `attention.py`).

    Attributes:
        stride: Stride of the features that it reads and replaces.
        kind: `softmax` for scaled dot-product attention; `linear` for ReLU features instead of the
            softmax, which int8 suits better.
        heads: Number of heads.
        head_channels: Channels of queries, keys and values of each head.
        feed_forward: Channels inside the feed-forward part; 0 leaves it out.
    """

    stride: Literal[16, 32]
    kind: Literal["softmax", "linear"] = "softmax"
    heads: int = pydantic.Field(default=4, ge=1, le=64)
    head_channels: int = pydantic.Field(default=16, ge=1, le=512)
    feed_forward: int = pydantic.Field(default=128, ge=0, le=MAX_CHANNELS)

    def weights(self, channels: int) -> int:
        """The number of its weights between features of so many channels."""
        return channels * (4 * self.heads * self.head_channels + 2 * self.feed_forward)


class StreamConfig(Config):
    """A recurrent cell at stride 16 of the decoder, for depth of frames (see `stream.py`).

    Attributes:
        kind: `gru` for a gated recurrent unit, `minimal` for one with a single gate.
        channels: Channels of the state.
        kernel: Size of the kernels, 1 or 3.
    """

    kind: Literal["gru", "minimal"] = "minimal"
    channels: int = pydantic.Field(default=16, ge=2, le=512)
    kernel: Literal[1, 3] = 3


AttentionBlocks = Annotated[tuple[AttentionConfig, ...], pydantic.Field(max_length=8)]

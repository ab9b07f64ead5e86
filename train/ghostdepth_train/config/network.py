"""The whole network: encoder, decoder, and what its metres mean."""

from __future__ import annotations

import operator
from typing import Annotated, Literal

import pydantic
from bench_depth.core.bounds import BOUNDS, require_bounds
from bench_depth.core.errors import UserError

from ghostdepth_train.config.blocks import AttentionBlocks, AttentionConfig, StreamConfig
from ghostdepth_train.config.encoder import AnyEncoderConfig, EncoderConfig, LiteEncoderConfig
from ghostdepth_train.config.fields import Border, Channels, Config, Side

_MAX_WEIGHTS = 500_000_000
_Mean = Annotated[float, pydantic.Field(ge=-1e3, le=1e3)]
_Deviation = Annotated[float, pydantic.Field(ge=1e-3, le=1e3)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class DecoderConfig(Config):
    """A top-down decoder that adds one skip connection per level.

    Attributes:
        widths: Number of channels at stride 16, 8, 4, 2 of the input, coarsest first; its length
            decides the last level's stride (4 widths: 2; 3 widths: 4; ...).
        upsample: Factor of the head's sub-pixel convolution along each axis (Shi et al., CVPR
            2016): finer depth without a finer level. Files may call it by its former name,
            `enlarge`.
        attention: Attention blocks after the level at stride 16.
        stream: Recurrent cell after them, whose state is carried from frame to frame; None for a
            network that takes every picture by itself.
    """

    widths: tuple[Channels, ...] = pydantic.Field(min_length=1, max_length=4)
    upsample: Literal[1, 2, 4] = pydantic.Field(
        default=1, validation_alias=pydantic.AliasChoices("upsample", "enlarge")
    )
    attention: AttentionBlocks = ()
    stream: StreamConfig | None = None

    @property
    def output_stride(self) -> int:
        """Input pixels per pixel of the network's output, along each axis."""
        return (32 >> len(self.widths)) // self.upsample

    @pydantic.field_validator("attention")
    @classmethod
    def _at_stride_16(cls, blocks: tuple[AttentionConfig, ...]) -> tuple[AttentionConfig, ...]:
        if any(block.stride != 16 for block in blocks):
            raise ValueError("the decoder begins at stride 16; stride 32 is the encoder's")
        return blocks

    @pydantic.model_validator(mode="after")
    def _no_finer_than_the_input(self) -> DecoderConfig:
        if not self.output_stride:
            raise ValueError(
                f"upsample {self.upsample} after {len(self.widths)} levels is finer than the input"
            )
        return self


class NetworkConfig(Config):
    """The whole network as plain numbers.

    Attributes:
        input_height: Rows of the network's input, to which the camera's image is resized.
        input_width: Columns of the network's input.
        border: Rows above and below, and columns left and right, of the picture's mirror image that
            the encoder sees around it, in pixels of the input; multiples of the output's stride.
        encoder: Widths of a GhostNet, or a library's network for a teacher.
        decoder: The decoder.
        adder: Names of the convolutions that are adders (see `adder_conv.py`).
        depth_encoding: Whether the head's single channel holds `log` depth, ln(metres), or
            `inverse` depth, 1/metres.
        depth_min: Smallest depth the network can give, metres.
        depth_max: Largest depth the network can give, metres.
        mean: Subtracted from RGB / 255, per channel.
        std: Divides RGB / 255 - mean, per channel.
        hfov: Horizontal field of view in degrees of the camera of the training data, for which the
            metres hold; None where it is unknown.
    """

    input_height: Side = 128
    input_width: Side = 160
    border: tuple[Border, Border] = (0, 0)
    encoder: AnyEncoderConfig
    decoder: DecoderConfig
    adder: tuple[str, ...] = ()
    depth_encoding: Literal["log", "inverse"] = "log"
    depth_min: float = pydantic.Field(default=0.3, ge=1e-4, le=1e4)
    depth_max: float = pydantic.Field(default=12.0, gt=0, le=1e4)
    mean: tuple[_Mean, _Mean, _Mean] = IMAGENET_MEAN
    std: tuple[_Deviation, _Deviation, _Deviation] = IMAGENET_STD
    hfov: float | None = pydantic.Field(default=None, ge=BOUNDS["hfov"][0], le=BOUNDS["hfov"][1])

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.input_height, self.input_width

    @property
    def grid_size(self) -> tuple[int, int]:
        """Height and width of what the encoder sees: the input and its border."""
        rows, columns = self.border
        return self.input_height + 2 * rows, self.input_width + 2 * columns

    @pydantic.model_validator(mode="after")
    def _border_of_whole_pixels(self) -> NetworkConfig:
        stride = self.decoder.output_stride
        for border, side in zip(self.border, self.input_size, strict=True):
            if border % stride or border >= side:
                raise ValueError(
                    f"a border of {border} pixels must be a multiple of {stride}, the stride of "
                    f"the network's output, and less than the input's {side}"
                )
        return self

    @pydantic.model_validator(mode="after")
    def _range(self) -> NetworkConfig:
        if self.depth_min >= self.depth_max:
            raise ValueError(f"depth_min {self.depth_min} is not below depth_max {self.depth_max}")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_into_memory(self) -> NetworkConfig:
        # Before it is built: each width may be within its bounds, and their products far beyond.
        weights = _weights(self)
        if weights > _MAX_WEIGHTS:
            raise ValueError(
                f"the widths make a network of up to {weights / 1e6:.0f} million weights; at most "
                f"{_MAX_WEIGHTS / 1e6:.0f} million are built"
            )
        return self


def _weights(config: NetworkConfig) -> int:
    """An upper bound of the weights of the convolutions that are not depthwise."""
    decoder = config.decoder
    width = decoder.widths[0]
    total: int = sum(map(operator.mul, decoder.widths, decoder.widths[1:]))
    total += sum(block.weights(width) for block in decoder.attention)
    encoder = config.encoder
    if isinstance(encoder, EncoderConfig):
        inp = encoder.stem
        for block in (block for stage in encoder.stages for block in stage):
            # The second product is that of a shortcut, or of DFC attention.
            total += block.mid * (inp + block.out + 2 * block.se) + inp * (block.mid + block.out)
            inp = block.out
        total += 2 * inp * width + sum(block.weights(inp) for block in encoder.attention)
    elif isinstance(encoder, LiteEncoderConfig) and encoder.widths:
        inp = encoder.stem or 0
        for lite in encoder.widths:
            total += lite.mid * (inp + lite.out)
            inp = lite.out
        total += 2 * inp * width
    return total


def check_camera(config: NetworkConfig, hfov: float | None, checkpoint: object) -> None:
    """Refuses a camera that metres cannot be made for.

    Args:
        config: Config of the network.
        hfov: Horizontal field of view of the camera, degrees; None for that of the training data.
        checkpoint: Name of the checkpoint, for the message.

    Raises:
        UserError: The field of view is impossible, or the network does not know its own.
    """
    if hfov is None:
        return
    require_bounds(hfov=hfov)
    if config.hfov is None:
        raise UserError(
            f"{checkpoint} does not say for which camera its metres hold: give the field of view "
            'of its training data as "hfov" in "network" of its config.json, or leave out --hfov'
        )


def require_encoder(config: NetworkConfig, method: str, *kinds: str) -> None:
    """Refuses encoders that a method cannot change, and networks with a state.

    Args:
        config: Config of the network.
        method: Name of the method that works on these encoders alone, for the message.
        kinds: Kinds of encoders that it works on, of `ENCODERS`.

    Raises:
        UserError: The encoder is of another kind, or the network has a stream.
    """
    refuse_stream(config, method)
    kind = getattr(config.encoder, "kind", "ghostnet")
    if kind not in kinds:
        raise UserError(
            f"{method} works on {' and '.join(kinds)} encoders; this network has a {kind} encoder"
        )


def refuse_stream(config: NetworkConfig, method: str) -> None:
    """Refuses networks that carry a state, of which methods that take pictures know nothing.

    Raises:
        UserError: The network has a stream.
    """
    if config.decoder.stream is not None:
        raise UserError(
            f"{method} works on networks that take every picture by itself, and this one carries "
            f"a state; use {method} first, then train its result with a stream and --init"
        )

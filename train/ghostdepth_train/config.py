"""Everything that can be set, as plain numbers that survive a round trip through JSON.

A named config is a YAML file in `configs/`. There one may write the encoder as
`{width_multiplier: 1.0, se: true}`; it is expanded to explicit layer widths when it is read, so
that a checkpoint's `config.json` always spells every width out and a pruned network is just
another config.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from bench_depth.core.errors import UserError
from bench_depth.model.camera import check_hfov

from ghostdepth_train.settings import with_settings
from ghostdepth_train.yaml_files import read_yaml, yaml_names

C = TypeVar("C", bound=pydantic.BaseModel)

# Far above what anyone trains, far below what exhausts the memory by a slip of the hand.
MAX_SIDE = 4096
_MAX_CHANNELS = 8192
_MAX_BLOCKS = 64
_MAX_WEIGHTS = 500_000_000
_MAX_BATCH = 4096
_MAX_EPOCHS = 100_000
MAX_SEED = 2**63 - 2
_Channels = Annotated[int, pydantic.Field(gt=0, le=_MAX_CHANNELS)]
_Weight = Annotated[float, pydantic.Field(ge=0, le=1e6)]
_Mean = Annotated[float, pydantic.Field(ge=-1e3, le=1e3)]
_Deviation = Annotated[float, pydantic.Field(ge=1e-3, le=1e3)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Config(pydantic.BaseModel):
    """Plain, finite numbers: an unknown field is an error, nothing changes after reading."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BlockConfig(Config):
    """One ghost bottleneck.

    Attributes:
        kernel: Size of the depthwise kernel of a stride-2 block and of its shortcut.
        mid: Number of channels after the first (expanding) ghost module.
        out: Number of channels after the second (projecting) ghost module.
        stride: 1 or 2.
        se: Number of channels inside the squeeze-and-excitation; 0 for none.
        conv_shortcut: Whether the shortcut is a convolution though no size changes, as in some
            pruned blocks. Where a size changes it always is.
        dfc: Whether the expanding ghost module has the decoupled fully connected attention of
            GhostNetV2.
    """

    kernel: Literal[3, 5]
    mid: _Channels
    out: _Channels
    stride: Literal[1, 2] = 1
    se: int = pydantic.Field(default=0, ge=0, le=_MAX_CHANNELS)
    conv_shortcut: bool = False
    dfc: bool = False


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
    feed_forward: int = pydantic.Field(default=128, ge=0, le=_MAX_CHANNELS)

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


_Attention = Annotated[tuple[AttentionConfig, ...], pydantic.Field(max_length=8)]

# GhostNet (Han et al. 2020), table 1: kernel, expansion, out, SE?, stride; one row per block.
_PAPER_STAGES = (
    ((3, 16, 16, 0, 1),),
    ((3, 48, 24, 0, 2),),
    ((3, 72, 24, 0, 1),),
    ((5, 72, 40, 1, 2),),
    ((5, 120, 40, 1, 1),),
    ((3, 240, 80, 0, 2),),
    (
        (3, 200, 80, 0, 1),
        (3, 184, 80, 0, 1),
        (3, 184, 80, 0, 1),
        (3, 480, 112, 1, 1),
        (3, 672, 112, 1, 1),
    ),
    ((5, 672, 160, 1, 2),),
    (
        (5, 960, 160, 0, 1),
        (5, 960, 160, 1, 1),
        (5, 960, 160, 0, 1),
        (5, 960, 160, 1, 1),
    ),
)


def make_divisible(value: float, divisor: int = 4) -> int:
    """Rounds a width to a multiple of `divisor`, never more than 10 % below `value`."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class EncoderConfig(Config):
    """A GhostNet encoder, layer by layer.

    Attributes:
        stem: Number of channels of the first convolution.
        stages: Blocks, grouped as in the paper (and as the state dict's keys `blocks.i.j`).
        padding: Where a stride-2 convolution puts its zeros: `same` as TensorFlow does (no PAD op
            in the exported file), `symmetric` as torch and timm do.
        attention: Attention blocks at the end of stride 16 or 32, in their order there.
    """

    stem: _Channels
    stages: Annotated[
        tuple[Annotated[tuple[BlockConfig, ...], pydantic.Field(max_length=_MAX_BLOCKS)], ...],
        pydantic.Field(max_length=_MAX_BLOCKS),
    ]
    padding: Literal["same", "symmetric"] = "same"
    attention: _Attention = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, dict) and "width_multiplier" in value:
            rest = dict(value)
            width, se = rest.pop("width_multiplier"), rest.pop("se", True)
            dfc = rest.pop("dfc", False)
            if not isinstance(width, (int, float)) or not 0 < width <= 4:
                raise ValueError(f"width_multiplier must be in (0, 4], got {width}")
            return {**ghostnet_widths(width, se=se, dfc=dfc), **rest}
        return value

    @pydantic.model_validator(mode="after")
    def _strides(self) -> EncoderConfig:
        total = 2
        for stage in self.stages:
            for index, block in enumerate(stage):
                if block.stride == 2 and index:
                    raise ValueError("only the first block of a stage may have stride 2")
                total *= block.stride
        if total != 32:
            raise ValueError(f"the encoder's strides multiply to {total}, must be 32")
        return self


def ghostnet_widths(
    width_multiplier: float, *, se: bool = True, dfc: bool = False
) -> dict[str, Any]:
    """The paper's encoder at a width multiplier, as the fields of `EncoderConfig`.

    With `dfc` it is GhostNetV2, whose first two blocks have no attention.
    """
    stages = []
    for index, rows in enumerate(_PAPER_STAGES):
        stage = []
        for kernel, expansion, out, has_se, stride in rows:
            mid = make_divisible(expansion * width_multiplier)
            stage.append(
                {
                    "kernel": kernel,
                    "mid": mid,
                    "out": make_divisible(out * width_multiplier),
                    "stride": stride,
                    "se": make_divisible(mid * 0.25) if has_se and se else 0,
                    "dfc": dfc and index > 1,
                }
            )
        stages.append(stage)
    return {"stem": make_divisible(16 * width_multiplier), "stages": stages}


class LiteEncoderConfig(Config):
    """An EfficientNet-Lite encoder (Tan and Le 2019, without SE and swish): a teacher's.

    Attributes:
        kind: Always `efficientnet-lite`.
        variant: Size of the network, 0 to 4; ImageNet weights of 0 to 2 are Python packages.
        blocks: How many of its blocks are kept, from the first; all where it is None. The last
            ones hold most of the weights. At least one at stride 32 is kept.
    """

    kind: Literal["efficientnet-lite"]
    variant: int = pydantic.Field(default=0, ge=0, le=4)
    blocks: int | None = pydantic.Field(default=None, ge=1)


class TimmEncoderConfig(Config):
    """Any encoder of the timm library that gives features at strides 2, 4, 8, 16 and 32.

    Attributes:
        kind: Always `timm`.
        name: Name of a model for `timm.create_model`, with its tag; no address of a hub or folder,
            which timm would take as well.
    """

    kind: Literal["timm"]
    name: str = pydantic.Field(max_length=100, pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?$")


def _encoder_kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return str(kind or "ghostnet")


_ENCODERS = ("ghostnet", "efficientnet-lite", "timm")
AnyEncoderConfig = Annotated[
    Annotated[EncoderConfig, pydantic.Tag("ghostnet")]
    | Annotated[LiteEncoderConfig, pydantic.Tag("efficientnet-lite")]
    | Annotated[TimmEncoderConfig, pydantic.Tag("timm")],
    pydantic.Discriminator(
        _encoder_kind,
        custom_error_type="unknown_encoder",
        custom_error_message=f"the encoder's kind must be one of: {', '.join(_ENCODERS)}",
    ),
]


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

    widths: tuple[_Channels, ...] = pydantic.Field(min_length=1, max_length=4)
    upsample: Literal[1, 2, 4] = pydantic.Field(
        default=1, validation_alias=pydantic.AliasChoices("upsample", "enlarge")
    )
    attention: _Attention = ()
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

    input_height: int = pydantic.Field(default=128, ge=32, le=MAX_SIDE)
    input_width: int = pydantic.Field(default=160, ge=32, le=MAX_SIDE)
    encoder: AnyEncoderConfig
    decoder: DecoderConfig
    adder: tuple[str, ...] = ()
    depth_encoding: Literal["log", "inverse"] = "log"
    depth_min: float = pydantic.Field(default=0.3, ge=1e-4)
    depth_max: float = pydantic.Field(default=12.0, gt=0, le=1e4)
    mean: tuple[_Mean, _Mean, _Mean] = IMAGENET_MEAN
    std: tuple[_Deviation, _Deviation, _Deviation] = IMAGENET_STD
    hfov: float | None = pydantic.Field(default=None, gt=0, lt=180)

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
    check_hfov(hfov)
    if config.hfov is None:
        raise UserError(
            f"{checkpoint} does not say for which camera its metres hold: give the field of view "
            'of its training data as "hfov" in "network" of its config.json, or leave out --hfov'
        )


def require_ghostnet(config: NetworkConfig, method: str) -> None:
    """Refuses encoders of libraries, whose widths cannot be changed, and networks with a state.

    Raises:
        UserError: The encoder is a library's, or the network has a stream.
    """
    refuse_stream(config, method)
    kind = getattr(config.encoder, "kind", None)
    if kind is not None:
        raise UserError(f"{method} works on GhostNet encoders; this network has a {kind} encoder")


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


class AugmentConfig(Config):
    """Changes of a training pair; all probabilities and ranges are per image.

    Attributes:
        flip: Probability of a left-right flip.
        zoom: Largest enlargement (log-uniform from 1); the depth is divided by the one drawn.
        near: Probability of things that stand close before the camera.
        tilt: Largest turn of the camera up, sideways and around its axis, degrees.
        blur: Largest standard deviation of a blur, pixels of the network's input.
        grey: Probability of a picture without colour.
        colour: Strength of brightness, contrast, gamma, saturation and white-balance changes.
        noise: Largest standard deviation of added Gaussian noise, in grey levels of 255.
    """

    flip: float = pydantic.Field(default=0.5, ge=0, le=1)
    zoom: float = pydantic.Field(default=1.5, ge=1, le=4)
    near: float = pydantic.Field(default=0.0, ge=0, le=1)
    tilt: float = pydantic.Field(default=0.0, ge=0, le=30)
    blur: float = pydantic.Field(default=0.0, ge=0, le=10)
    grey: float = pydantic.Field(default=0.0, ge=0, le=1)
    colour: float = pydantic.Field(default=0.3, ge=0, lt=1)
    noise: float = pydantic.Field(default=4.0, ge=0, le=255)


class LossConfig(Config):
    """The mix of losses (see `losses.py`).

    Attributes:
        silog: Weight of the scale-invariant log loss.
        silog_lambda: Fraction of the squared mean error that is subtracted, 0 to 1; with 1 the
            loss is fully scale-invariant.
        gradient: Weight of the multi-scale gradient loss.
        gradient_scales: Number of scales, each at half the resolution of the one before.
    """

    silog: _Weight = 1.0
    silog_lambda: float = pydantic.Field(default=0.5, ge=0, le=1)
    gradient: _Weight = 0.5
    gradient_scales: int = pydantic.Field(default=4, ge=1, le=6)


class ClipConfig(Config):
    """Clips, on which the state of a stream is trained (see `data/clips.py`).

    Attributes:
        source: `frames` for the frames of clip folders, `crop` for a moving crop of each pair.
        frames: Number of frames of a clip, at least 2.
        truncate: Number of frames after which the state passes no gradient on.
        motion: How far a crop moves in a clip, as a fraction of the way that it has.
    """

    source: Literal["frames", "crop"] = "crop"
    frames: int = pydantic.Field(default=4, ge=2, le=64)
    truncate: int = pydantic.Field(default=4, ge=1, le=64)
    motion: float = pydantic.Field(default=0.3, ge=0, le=1)


class TrainingConfig(Config):
    """How to train, whatever the network.

    Attributes:
        augment: Changes of the training pairs.
        loss: The mix of losses.
        epochs: Number of passes over the training set.
        batch_size: Number of images per step and process.
        learning_rate: Peak learning rate of AdamW.
        warmup_epochs: Number of epochs in which the learning rate rises linearly to the peak; a
            cosine to zero follows.
        weight_decay: Decoupled weight decay of the convolutions.
        ema_decay: Decay per step of the averaged weights, which are evaluated and saved, 0 to 1.
        clip_norm: Largest L2 norm of the whole gradient; 0 for no clipping.
        eval_every: Number of epochs between evaluations; the last epoch is always evaluated.
        seed: Seed of initialization, order and augmentation.
    """

    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    epochs: int = pydantic.Field(default=100, ge=1, le=_MAX_EPOCHS)
    batch_size: int = pydantic.Field(default=8, ge=1, le=_MAX_BATCH)
    learning_rate: float = pydantic.Field(default=2e-3, gt=0, le=100)
    warmup_epochs: float = pydantic.Field(default=3.0, ge=0, le=_MAX_EPOCHS)
    weight_decay: float = pydantic.Field(default=0.02, ge=0, le=100)
    ema_decay: float = pydantic.Field(default=0.998, ge=0, lt=1)
    clip_norm: _Weight = 5.0
    eval_every: int = pydantic.Field(default=1, ge=1, le=_MAX_EPOCHS)
    seed: int = pydantic.Field(default=0, ge=0, le=MAX_SEED)


class TrainConfig(TrainingConfig):
    """A whole training run.

    Attributes:
        network: The network to train.
        clip: Clips to train a network with a `stream` on; None for pictures.
    """

    network: NetworkConfig
    clip: ClipConfig | None = None

    @pydantic.model_validator(mode="after")
    def _clips_are_for_streams(self) -> TrainConfig:
        if self.clip is not None and self.network.decoder.stream is None:
            raise ValueError("clip is for a network with a stream; set network.decoder.stream")
        if self.clip is None and self.network.decoder.stream is not None:
            raise ValueError("a network with a stream is trained on clips; set clip.frames")
        return self

    @pydantic.model_validator(mode="after")
    def _batch_norm_has_two_values(self) -> TrainConfig:
        # Batch norm in training needs two values a channel, and the coarsest features have the
        # fewest: one for each 32x32 pixels of each image.
        height, width = (-(-n // 32) for n in (self.network.input_height, self.network.input_width))
        if self.batch_size * height * width == 1:
            raise ValueError(
                f"batch norm gets one value a channel from batch_size 1 and a network input of "
                f"{self.network.input_height}x{self.network.input_width}; raise batch_size to 2, "
                "or the input above 32x32"
            )
        return self


CONFIGS = resources.files("ghostdepth_train") / "configs"


def config_names() -> list[str]:
    """The names of the configs that come with the package."""
    return yaml_names(CONFIGS)


def load_train_config(
    name: str,
    changes: dict[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Reads a config by its name or its path.

    Its field `base` may name another config, whose fields hold where the file has none.

    Args:
        name: One of `config_names()`, or the path of a YAML file.
        changes: Top-level fields that override the file's.
        settings: Values by dotted key that override both, see `settings.parse_settings`.

    Raises:
        UserError: No such config, not YAML, or a field is unknown or out of range.
    """
    value = _fields(name)
    if "base" in value:
        value = _fields(str(value.pop("base"))) | value
    value = with_settings({**value, **(changes or {})}, settings or {}, TrainConfig)
    return parse_config(TrainConfig, value, f"config {name}")


def _fields(name: str) -> dict[str, Any]:
    value = read_yaml("config", name, CONFIGS)
    if not isinstance(value, dict):
        raise UserError(f"config {name} is not a mapping of fields")
    return value


def parse_config(kind: type[C], value: Any, where: str) -> C:
    """Checks `value` against a config class.

    Raises:
        UserError: A field is unknown, missing or out of range; the line names it.
    """
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        # The kind of encoder is a level of pydantic's, not of the file.
        field = ".".join(str(part) for part in first["loc"] if part not in _ENCODERS)
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(": ".join(filter(None, (where, field, message)))) from error

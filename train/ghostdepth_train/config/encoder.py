"""The encoders: a GhostNet layer by layer, or a network of a library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from ghostdepth_train.config.blocks import AttentionBlocks
from ghostdepth_train.config.fields import MAX_CHANNELS, Channels, Config

_MAX_BLOCKS = 64

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
    mid: Channels
    out: Channels
    stride: Literal[1, 2] = 1
    se: int = pydantic.Field(default=0, ge=0, le=MAX_CHANNELS)
    conv_shortcut: bool = False
    dfc: bool = False


def make_divisible(value: float, divisor: int = 4) -> int:
    """Rounds a width to a multiple of `divisor`, never more than 10 % below `value`."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class EncoderConfig(Config):
    """A GhostNet encoder, layer by layer.

    Attributes:
        stem: Number of channels of the first convolution.
        stages: Blocks, grouped as in the paper (and as the state dict's keys `blocks.i.j`).
        padding: Padding of stride-2 convolutions: `same` as in TensorFlow (no PAD op in the
            exported file), `symmetric` as in torch and timm.
        attention: Attention blocks at the end of stride 16 or 32, in their order there.
    """

    stem: Channels
    stages: Annotated[
        tuple[Annotated[tuple[BlockConfig, ...], pydantic.Field(max_length=_MAX_BLOCKS)], ...],
        pydantic.Field(max_length=_MAX_BLOCKS),
    ]
    padding: Literal["same", "symmetric"] = "same"
    attention: AttentionBlocks = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, dict) and "width_multiplier" in value:
            rest = dict(value)
            width, se = rest.pop("width_multiplier"), rest.pop("se", True)
            dfc = rest.pop("dfc", False)
            number = isinstance(width, (int, float)) and not isinstance(width, bool)
            if not number or not 0 < width <= 4:
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


class LiteBlockConfig(Config):
    """The widths of one block of a pruned EfficientNet-Lite encoder.

    Attributes:
        mid: Number of channels of the depthwise convolution.
        out: Number of channels of the block's output.
    """

    mid: Channels
    out: Channels


class LiteEncoderConfig(Config):
    """An EfficientNet-Lite encoder (Tan and Le 2019, without SE and swish).

    Attributes:
        kind: Always `efficientnet-lite`.
        variant: Size of the network, 0 to 4; ImageNet weights of 0 to 2 are Python packages.
        blocks: How many of its blocks are kept, from the first; all where it is None. The last
            ones hold most of the weights. At least one at stride 32 is kept.
        stem: Number of channels of the first convolution, as pruning left it; None for the
            variant's.
        widths: The widths of each kept block, as pruning left them; None for the variant's.
    """

    kind: Literal["efficientnet-lite"]
    variant: int = pydantic.Field(default=0, ge=0, le=4)
    blocks: int | None = pydantic.Field(default=None, ge=1, le=_MAX_BLOCKS)
    stem: Channels | None = None
    widths: (
        Annotated[tuple[LiteBlockConfig, ...], pydantic.Field(max_length=_MAX_BLOCKS)] | None
    ) = None

    @pydantic.model_validator(mode="after")
    def _all_widths_or_none(self) -> LiteEncoderConfig:
        if (self.stem is None) != (self.widths is None):
            raise ValueError("give both `stem` and `widths`, or neither")
        return self


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


ENCODERS = ("ghostnet", "efficientnet-lite", "timm")
AnyEncoderConfig = Annotated[
    Annotated[EncoderConfig, pydantic.Tag("ghostnet")]
    | Annotated[LiteEncoderConfig, pydantic.Tag("efficientnet-lite")]
    | Annotated[TimmEncoderConfig, pydantic.Tag("timm")],
    pydantic.Discriminator(
        _encoder_kind,
        custom_error_type="unknown_encoder",
        custom_error_message=f"the encoder's kind must be one of: {', '.join(ENCODERS)}",
    ),
]

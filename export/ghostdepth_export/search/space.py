"""Which networks a search may try: plain lists of what each part may be."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from ghostdepth_train.config import (
    MAX_SIDE,
    Config,
    NetworkConfig,
    ghostnet_widths,
    make_divisible,
    parse_config,
)
from ghostdepth_train.yaml_files import read_yaml

if TYPE_CHECKING:
    from optuna import Trial

# Of 1x: stages of GhostNet up to stride 8, and the decoder of ghostnet-s.
_SHALLOW_STAGES = 5
_DECODER = (96, 48, 32, 16)
_Factors = tuple[Annotated[float, pydantic.Field(gt=0, le=4)], ...]
_Side = Annotated[int, pydantic.Field(ge=32, le=MAX_SIDE)]


class SearchSpace(Config):
    """What a search chooses from; each field is a list of at least one.

    Attributes:
        sizes: Heights and widths of the network's input.
        shallow: Factors of GhostNet's widths up to stride 8.
        deep: Factors of GhostNet's widths at strides 16 and 32.
        se: Whether the encoder has squeeze-and-excitation.
        levels: Numbers of decoder levels, 1 to 4: the stride of the last one is 16, 8, 4 or 2.
        upsample: Factors of the head's sub-pixel convolution along each axis, 1, 2 or 4. Files may
            call it by its former name, `enlarge`.
        decoder: Factors of the decoder's widths, which are 96, 48, 32 and 16.
    """

    sizes: tuple[tuple[_Side, _Side], ...] = pydantic.Field(
        default=((96, 128), (112, 144), (128, 160), (160, 192), (192, 256)), min_length=1
    )
    shallow: _Factors = pydantic.Field(default=(0.35, 0.5, 0.65, 0.8, 1.0), min_length=1)
    deep: _Factors = pydantic.Field(default=(0.25, 0.35, 0.5, 0.75, 1.0), min_length=1)
    se: tuple[bool, ...] = pydantic.Field(default=(True, False), min_length=1)
    levels: tuple[Literal[1, 2, 3, 4], ...] = pydantic.Field(default=(2, 3, 4), min_length=1)
    upsample: tuple[Literal[1, 2, 4], ...] = pydantic.Field(
        default=(1, 2), min_length=1, validation_alias=pydantic.AliasChoices("upsample", "enlarge")
    )
    decoder: _Factors = pydantic.Field(default=(0.25, 0.5, 0.75, 1.0), min_length=1)

    @property
    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The values that each parameter of a trial may have; a size is written 128x160."""
        sizes = dict.fromkeys(f"{height}x{width}" for height, width in self.sizes)
        others = ("shallow", "deep", "se", "levels", "upsample", "decoder")
        return {"size": tuple(sizes)} | {name: getattr(self, name) for name in others}

    def suggest(self, trial: Trial, base: NetworkConfig) -> NetworkConfig:
        """The network that a trial is about.

        Args:
            trial: Trial of Optuna.
            base: Has the encoding of depth, the normalisation and the encoder's padding.

        Raises:
            UserError: The space holds a network that cannot be.
        """
        size, shallow, deep, se, levels, upsample, decoder = (
            trial.suggest_categorical(name, values) for name, values in self.choices.items()
        )
        height, width = map(int, str(size).split("x"))
        front, back = (ghostnet_widths(float(factor), se=bool(se)) for factor in (shallow, deep))
        widths = [make_divisible(float(decoder) * n, 8) for n in _DECODER[: int(levels)]]
        stages = [*front["stages"][:_SHALLOW_STAGES], *back["stages"][_SHALLOW_STAGES:]]
        padding = getattr(base.encoder, "padding", "same")
        value: dict[str, Any] = {
            **base.model_dump(exclude={"encoder", "decoder", "adder"}),
            "input_height": height,
            "input_width": width,
            "encoder": {"stem": front["stem"], "stages": stages, "padding": padding},
            "decoder": {"widths": widths, "upsample": upsample},
        }
        return parse_config(NetworkConfig, value, "the search space")


def load_space(path: str | None) -> SearchSpace:
    """Reads a search space from a YAML file; what it does not say is as usual.

    Raises:
        UserError: It cannot be read, or a field is unknown or wrong.
    """
    if path is None:
        return SearchSpace()
    value = read_yaml("search space", path, resources.files("ghostdepth_export") / "search")
    return parse_config(SearchSpace, value, f"search space {path}")

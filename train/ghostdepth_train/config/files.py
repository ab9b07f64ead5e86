"""Named configs and files of configs, read and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from bench_depth.core.errors import UserError

from ghostdepth_train.config.encoder import ENCODERS
from ghostdepth_train.config.settings import with_settings
from ghostdepth_train.config.training import TrainConfig
from ghostdepth_train.yaml_files import read_yaml, yaml_names

C = TypeVar("C", bound=pydantic.BaseModel)
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

    Its field `base` may name another config, whose fields hold where the file has none; that one
    may have a base as well. A path in `base` is relative to the folder of the file that names it.

    Args:
        name: One of `config_names()`, or the path of a YAML file.
        changes: Top-level fields that override the file's.
        settings: Values by dotted key that override both, see `settings.parse_settings`.

    Raises:
        UserError: No such config, not YAML, bases that lead in a circle, or a field is unknown or
            out of range.
    """
    value = with_settings({**_with_bases(name), **(changes or {})}, settings or {}, TrainConfig)
    return parse_config(TrainConfig, value, f"config {name}")


def _with_bases(name: str) -> dict[str, Any]:
    value = _fields(name)
    chain = [os.path.normpath(name)]
    while "base" in value:
        base = str(value.pop("base"))
        if base not in config_names():
            base = os.path.normpath(Path(chain[-1]).parent / base)
        if base in chain:
            raise UserError(f"config {name} is its own base: {' -> '.join([*chain, base])}")
        chain.append(base)
        value = _fields(base) | value
    return value


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
        field = ".".join(str(part) for part in first["loc"] if part not in ENCODERS)
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(": ".join(filter(None, (where, field, message)))) from error

"""Single settings from the command line, `augment.flip=0`, put into what a YAML file holds."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic
import yaml
from bench_depth.core.errors import UserError, did_you_mean

from ghostdepth_train.yaml_files import parse_yaml


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Parses `KEY=VALUE` texts; a value is YAML: `0.5`, `true`, `[64, 32]`, `log`.

    Returns:
        Values by dotted key, in the order given; of equal keys the last one.

    Raises:
        UserError: A text has no key, or its value is not YAML.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {text!r}: write KEY=VALUE, for example learning_rate=0.001")
        try:
            found[key.strip()] = parse_yaml(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UserError(f"--set {text!r}: {value!r} is not a YAML value") from error
    return found


def with_settings(
    value: Mapping[str, Any],
    settings: Mapping[str, Any],
    kind: type[pydantic.BaseModel],
    prefix: str = "",
) -> dict[str, Any]:
    """Puts settings into the fields of a config before it is checked.

    Args:
        value: Fields as a YAML file has them; it is not changed.
        settings: Settings as `parse_settings` returns them.
        kind: Config class that `value` will be parsed as; its fields are the known keys.
        prefix: Text that the user wrote before each key, for messages.

    Raises:
        UserError: A key names no field; the line names the nearest one.
    """
    result = dict(value)
    for key, new in settings.items():
        _set(result, f"{prefix}{key}", key.split("."), new, kind)
    return result


def _set(target: dict[str, Any], key: str, path: Sequence[str], new: Any, kind: Any) -> None:
    name, rest = path[0], path[1:]
    kinds = _models(kind)
    known = sorted({field for each in kinds for field in each.model_fields})
    # Fields that a class accepts beside its own, as an encoder's width_multiplier, are in the file.
    if known and name not in known and name not in target and name != "width_multiplier":
        where = key[: -len(".".join(path))]
        hint = did_you_mean(name, known, f"known are {', '.join(known)}", where)
        raise UserError(f"--set {key}: there is no setting {name!r}{hint}")
    if not rest:
        target[name] = new
        return
    inner = [
        each.model_fields[name].annotation
        for each in kinds
        if name in each.model_fields and each.model_fields[name].annotation is not None
    ]
    if not any(_models(each) for each in inner):
        raise UserError(f"--set {key}: {name} is one value and has no {rest[0]}")
    target[name] = dict(target[name]) if isinstance(target.get(name), Mapping) else {}
    _set(target[name], key, rest, new, typing.Union[tuple(inner)])  # noqa: UP007


def _models(kind: Any) -> list[type[pydantic.BaseModel]]:
    """The config classes that an annotation allows: itself, or those of a union."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return [kind]
    if typing.get_origin(kind) in (typing.Union, types.UnionType, typing.Annotated):
        return [model for part in typing.get_args(kind) for model in _models(part)]
    return []

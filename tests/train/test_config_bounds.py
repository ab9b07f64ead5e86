"""Every number of a config or a recipe has bounds, so that 1e9 by a slip of the hand is refused."""

from __future__ import annotations

import importlib
import pkgutil
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import annotated_types
import ghostdepth_train
import pydantic
import pytest
from ghostdepth_train.compress.methods import METHODS
from ghostdepth_train.config import Config

for _found in pkgutil.walk_packages(ghostdepth_train.__path__, "ghostdepth_train."):
    if not _found.name.endswith("__main__"):
        importlib.import_module(_found.name)

LEAST = (annotated_types.Ge, annotated_types.Gt)
MOST = (annotated_types.Le, annotated_types.Lt)


def configs(base: type[Config] = Config) -> Iterator[type[Config]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("ghostdepth_train."):
            yield each
            yield from configs(each)


def unbounded(annotation: Any, limits: list[Any]) -> bool:
    """Whether a number within the annotation lacks a bound."""
    if annotation in (int, float):
        flat = [one for limit in limits for one in (limit, *getattr(limit, "metadata", ()))]
        return not all(any(isinstance(one, kind) for one in flat) for kind in (LEAST, MOST))
    if typing.get_origin(annotation) is Annotated:
        inner, *own = typing.get_args(annotation)
        return unbounded(inner, [*own, *limits])
    return any(unbounded(part, limits) for part in typing.get_args(annotation))


NUMBERS = sorted(
    {
        (config.__module__, config.__name__, name): (config, field)
        for config in configs()
        for name, field in config.model_fields.items()
    }.items()
)


@pytest.mark.parametrize(
    "field", [field for _, (_, field) in NUMBERS], ids=[".".join(key[1:]) for key, _ in NUMBERS]
)
def test_every_number_of_a_config_has_both_bounds(field: pydantic.fields.FieldInfo) -> None:
    assert not unbounded(field.annotation, list(field.metadata))


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("value", [-1, 10**10, 10**18])
def test_an_impossible_number_in_a_recipe_is_refused_with_its_name(method: str, value: int) -> None:
    config = METHODS[method][0]
    for name, field in config.model_fields.items():
        if field.annotation in (int, float) and name != "seed":
            with pytest.raises(pydantic.ValidationError) as caught:
                config.model_validate({name: value})
            assert (name,) in [error["loc"] for error in caught.value.errors()]

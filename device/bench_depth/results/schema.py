"""The JSON Schema of a results file, derived from the dataclasses that describe it.

`python -m bench_depth.results.schema` prints it; `results.schema.json` beside this file is a copy.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any, Union

from bench_depth.core.json_text import NOT_FINITE
from bench_depth.core.screen import show
from bench_depth.results.records import SCHEMA, Results

_SIMPLE = {str: "string", int: "integer", bool: "boolean"}
# JSON has no number for what is not finite; see `json_text.dumps`.
_NUMBER = {"anyOf": [{"type": "number"}, {"enum": list(NOT_FINITE)}]}


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12). Fields of later versions are allowed, as in `load`."""
    definitions: dict[str, Any] = {}
    top = _of_dataclass(Results, definitions)
    top["properties"]["schema"] = {"const": SCHEMA}
    top["required"] = ["schema", "context", "models"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Results of bench-depth",
        **top,
        "$defs": definitions,
    }


def _of_dataclass(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    properties = {field.name: _of(hints[field.name], definitions) for field in fields}
    return {"type": "object", "properties": properties, "required": required}


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if hint is Any:
        return {}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if hint is float:
        definitions["number"] = _NUMBER
        return {"$ref": "#/$defs/number"}
    if dataclasses.is_dataclass(hint):
        name = typing.cast(type, hint).__name__
        if name not in definitions:
            definitions[name] = {}  # A placeholder, as the class may refer to itself.
            definitions[name] = _of_dataclass(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return _of_generic(typing.get_origin(hint), typing.get_args(hint), definitions)


def _of_generic(origin: Any, parts: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if origin is Union:  # Optional[X]: the only union in use.
        return {"anyOf": [_of(parts[0], definitions), {"type": "null"}]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(parts[1], definitions)}
    if origin is tuple:
        items = [_of(part, definitions) for part in parts]
        return {"type": "array", "prefixItems": items, "minItems": len(parts), "items": False}
    return {"type": "array", "items": _of(parts[0], definitions)}


if __name__ == "__main__":
    show(f"{json.dumps(json_schema(), indent=1)}\n")

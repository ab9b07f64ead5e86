"""YAML files by name or path, read within limits."""

from __future__ import annotations

import os
import re
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.core.files import read_text
from bench_depth.core.json_text import check_nesting

_LARGEST = 2**18
# Characters of all values, each alias counted as what it stands for.
_LARGEST_WRITTEN_OUT = 2**20
# 64 bits in base 2 with sign, prefix and underscores; Python does not convert far longer ones.
_INTEGER_CHARACTERS = 80


def yaml_names(folder: Traversable) -> list[str]:
    """The names of the YAML files in a folder of the package."""
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def read_yaml(what: str, name: str, folder: Traversable) -> Any:
    """Reads a YAML file by its name in a folder of the package, or by its path.

    Args:
        what: Kind of the file, for error messages.
        name: One of `yaml_names(folder)`, or a path.
        folder: Folder of the package.

    Raises:
        UserError: There is no such file, it is not YAML, or it is beyond a limit: 256 KiB of UTF-8,
            1 MiB with its aliases written out, and the levels of `json_text.check_nesting`.
    """
    known = yaml_names(folder)
    if name in known:
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    elif os.path.lexists(name):
        text = read_text(Path(name), _LARGEST)
    else:
        where = (
            f"neither a file nor one of: {', '.join(known)}" if known else "there is no such file"
        )
        raise UserError(f"unknown {what} {name!r}: {where}{did_you_mean(name, known)}")
    try:
        return parse_yaml(text)
    except RecursionError as error:
        raise UserError(f"{what} {name} is nested too deeply") from error
    # A day that the calendar lacks and a number of thousands of digits are ValueErrors.
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{what} {name} is not valid YAML: {error}") from error


# What PyYAML raises of a value that its tag does not fit.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, UnicodeEncodeError)


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping holds twice, of which PyYAML would take the last.

    It also refuses aliases that stand for very much: printing, merging or copying the value takes
    all of it. And numbers of base 60 and 8, which nobody means, and a text that is not of its
    explicit tag, for which PyYAML has errors of many kinds.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # Size of each complete node, by identity: an alias is the node itself.
        self._sizes: dict[int, int] = {}

    # Before `<<` puts the keys of other mappings among a node's own.
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        None, None, f"the key {key.value[:80]!r} stands there twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        self._measure(node, [each for pair in node.value for each in pair])
        return node

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        node = super().compose_sequence_node(anchor)
        self._measure(node, node.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # Half of a surrogate pair is no character.
        except _UNFIT as error:
            scalar = isinstance(node, yaml.ScalarNode)
            shown = repr(node.value[:80]) if scalar else "a list or mapping"
            raise yaml.MarkedYAMLError(
                None, None, f"{shown} is no {node.tag.rpartition(':')[2][:80]}", node.start_mark
            ) from error
        return value

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        # YAML 1.1 reads 1:30 as 90, and 010 as 8.
        if re.search(r":|^[-+]?0[0-9_]", node.value):
            raise yaml.MarkedYAMLError(
                None,
                None,
                f"{node.value[:80]!r} is no plain number: write it in decimal digits, or in quotes "
                "where it is text",
                node.start_mark,
            )
        if len(node.value) > _INTEGER_CHARACTERS:
            raise yaml.MarkedYAMLError(
                None,
                None,
                f"it holds an integer of {len(node.value)} characters; the largest has 64 bits",
                node.start_mark,
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        return float(
            self.construct_yaml_int(node)
            if ":" in node.value
            else super().construct_yaml_float(node)
        )

    def _measure(self, node: yaml.CollectionNode, parts: list[yaml.Node]) -> None:
        size = 1
        for part in parts:
            if isinstance(part, yaml.ScalarNode):
                size += 1 + len(part.value)
            elif id(part) in self._sizes:
                size += self._sizes[id(part)]
            else:
                raise yaml.MarkedYAMLError(
                    None, None, "an alias stands within what it stands for", node.start_mark
                )
        if size > _LARGEST_WRITTEN_OUT:
            raise yaml.MarkedYAMLError(
                None,
                None,
                f"it is larger than {_LARGEST_WRITTEN_OUT / 2**20:g} MiB with its aliases written "
                "out",
                node.start_mark,
            )
        self._sizes[id(node)] = size


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


def parse_yaml(text: str) -> Any:
    """Parses YAML of plain values.

    Raises:
        RecursionError: It is nested too deeply to be parsed.
        yaml.YAMLError: It is not YAML, holds a key twice, or its aliases stand for very much.
        ValueError: Python cannot hold a value, or it is beyond `check_nesting`.
    """
    # A subclass of SafeLoader.
    value = yaml.load(text, _Loader)  # noqa: S506
    check_nesting(value)
    return value

"""The faults that mutation testing puts into a module, one at a time."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "mean": "sum", "sum": "max"}


@dataclass(frozen=True)
class Mutant:
    """A module with one fault.

    Attributes:
        kind: Kind of the fault.
        before: The expression or statement as it was.
        after: The same with the fault.
        nth: Number of the fault among those with the same text before and after.
        line: Line of the fault, from 1.
        code: The module's text.
    """

    kind: str
    before: str
    after: str
    nth: int
    line: int = field(compare=False)
    code: str = field(compare=False, repr=False)


def mutants(code: str) -> list[Mutant]:
    """All faults of a module, in the order of its lines.

    Args:
        code: The module's text.
    """
    found, seen = [], Counter[tuple[str, str, str]]()
    for index, node in enumerate(_places(ast.parse(code))):
        before = ast.unparse(node)
        for number, (kind, _) in enumerate(_faults(node)):
            tree = ast.parse(code)
            changed = list(_places(tree))[index]
            list(_faults(changed))[number][1]()
            key = (kind, _short(before), _short(ast.unparse(changed)))
            found.append(Mutant(*key, seen[key], node.lineno, ast.unparse(tree)))
            seen[key] += 1
    return sorted(found, key=lambda mutant: mutant.line)


def _short(text: str) -> str:
    return " ".join(text.split())[:100]


def _places(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Every node that is evaluated: no annotations, no messages of errors."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "exc"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from _places(child)


def _faults(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    """The kinds of faults that a node can have, and what puts each into it."""

    def put(name: str, value: object) -> Callable[[], None]:
        return lambda: setattr(node, name, value)

    match node:
        case ast.Compare(ops=[operator, *_]) if type(operator) in _COMPARISONS:
            yield "comparison", lambda: node.ops.__setitem__(0, _COMPARISONS[type(operator)]())
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield "arithmetic", put("op", _ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield "logic", put("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.Constant(value=bool() as value):
            yield "constant", put("value", not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", put("value", value + 1)
        case ast.If() | ast.IfExp() | ast.While():
            yield "condition", put("test", ast.UnaryOp(ast.Not(), node.test))
        case ast.GeneratorExp(generators=[first]) | ast.ListComp(generators=[first]) if first.ifs:
            yield "filter", first.ifs.clear
        case ast.Return(value=ast.expr()):
            yield "result", put("value", ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield "call left out", put("value", ast.Constant(None))
        case ast.Raise():
            yield "error", put("exc", ast.Name("SystemError"))
        case ast.Call(func=ast.Name(id=name) as called) if name in _CALLS:
            yield "function", lambda: setattr(called, "id", _CALLS[name])
        case ast.Call(func=ast.Attribute(attr=name) as called) if name in _CALLS:
            yield "function", lambda: setattr(called, "attr", _CALLS[name])

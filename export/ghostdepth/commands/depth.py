"""The verbs that are those of bench-depth: depth, also called predict, and models."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ghostdepth.commands.app import app

# bench-depth's own parser reads the options, so that both commands take the same ones.
_AS_GIVEN = {"ignore_unknown_options": True, "help_option_names": []}


class _AsGiven(TyperCommand):
    """A verb that takes every word as an argument; completion asks the argument for options too."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        return self.params[0].shell_complete(ctx, incomplete)


def _depth_words(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from bench_depth.commands.depth import parser

    return parser("ghostdepth").completions(context.params["words"] or (), incomplete)


def _models_words(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from bench_depth.commands.models import parser

    return parser("ghostdepth").completions(context.params["words"] or (), incomplete)


@app.command(cls=_AsGiven, context_settings=_AS_GIVEN)
@app.command("predict", cls=_AsGiven, hidden=True, context_settings=_AS_GIVEN)
def depth(
    words: Annotated[list[str] | None, typer.Argument(autocompletion=_depth_words)] = None,
) -> None:
    """Write depth maps of images, folders, videos or a camera; `predict` is the same."""
    from bench_depth.commands.depth import main

    raise typer.Exit(main(words or (), "ghostdepth"))


@app.command(cls=_AsGiven, context_settings=_AS_GIVEN)
def models(
    words: Annotated[list[str] | None, typer.Argument(autocompletion=_models_words)] = None,
) -> None:
    """List the released models: predicted latency, accuracy, size and files."""
    from bench_depth.commands.models import main

    raise typer.Exit(main(words or (), "ghostdepth"))

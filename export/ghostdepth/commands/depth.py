"""The verbs that are those of bench-depth: depth, also called predict, and models."""

from __future__ import annotations

import typer

from ghostdepth.commands.app import app

# bench-depth's own parser reads the options, so that both commands take the same ones.
_AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_AS_GIVEN)
@app.command("predict", hidden=True, context_settings=_AS_GIVEN)
def depth(context: typer.Context) -> None:
    """Write depth maps of images, folders, videos or a camera; `predict` is the same."""
    from bench_depth.commands.depth import main

    raise typer.Exit(main(context.args, "ghostdepth"))


@app.command(context_settings=_AS_GIVEN)
def models(context: typer.Context) -> None:
    """List the released models: predicted latency, accuracy, size and files."""
    from bench_depth.commands.models import main

    raise typer.Exit(main(context.args, "ghostdepth"))

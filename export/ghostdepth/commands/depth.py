"""The verb that runs a model on images: depth, also called predict."""

from __future__ import annotations

import typer

from ghostdepth.commands.app import app

# bench-depth's own parser reads the options, so that both commands take the same ones.
_AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_AS_GIVEN)
@app.command("predict", hidden=True, context_settings=_AS_GIVEN)
def depth(context: typer.Context) -> None:
    """Write depth maps of images, folders, videos or a camera, as `bench-depth depth` does."""
    from bench_depth.commands.depth import main

    raise typer.Exit(main(context.args, "ghostdepth"))

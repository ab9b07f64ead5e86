"""Functions that reach a Raspberry Pi, a real or an emulated one: deploy, emulate."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError


def deploy(
    hosts: str | Sequence[str],
    models: Path | str | Sequence[Path | str] = (),
    *,
    target: str | None = None,
    samples: Path | str | None = None,
    prefix: str = "ghostdepth",
    port: int | None = None,
    identity: Path | str | None = None,
    ssh_config: Path | str | None = None,
    results: Path | str = "runs/deploy",
    threads: int | None = None,
    warmup: int | None = None,
    min_runs: int | None = None,
    min_time: float | None = None,
    dry_run: bool = False,
    rollback: bool = False,
) -> int:
    """Installs models on Raspberry Pis over ssh, measures them there and fetches the results.

    Progress and the errors of single hosts go to standard error, tables to standard output: the
    hosts are worked on at the same time, and one that fails does not stop the others.

    Args:
        hosts: One destination of ssh or several, like `pi@raspberrypi.local`.
        models: One model file or several, or names of released models; none with `rollback`.
        target: Target as for `bundle`; None to choose it by the Pi's version of Python.
        samples: Dataset folder that is sent and that accuracy is measured on; None for none.
        prefix: Folder on the Pi; a relative one starts at its home folder.
        port: TCP port of the ssh servers; None for that of the configuration.
        identity: File with the private key for ssh; None for those of the configuration.
        ssh_config: Configuration file of ssh; None for the user's.
        results: Folder for HOST/results.json.
        threads: Number of threads of the runtime; None for one per core, at most 4.
        warmup: Number of warm-up runs; None for bench-depth's default.
        min_runs: Minimum number of timed runs; None for bench-depth's default.
        min_time: Minimum duration of the timing in seconds; None for bench-depth's default.
        dry_run: Whether to print what would be sent, and to change nothing.
        rollback: Whether to switch back to the previous version.

    Returns:
        0 if every host succeeded, else the highest exit code of the hosts.

    Raises:
        UserError: An argument is wrong.
    """
    from bench_depth.model.released import find_model
    from ghostdepth_export.ship import deploy as ship

    files = [models] if isinstance(models, (str, Path)) else list(models)
    if rollback == bool(files):
        raise UserError("give either --models FILE or --rollback")
    require_bounds(threads=threads, warmup=warmup, min_runs=min_runs, min_time=min_time)
    chosen = {"threads": threads, "warmup": warmup, "min-runs": min_runs, "min-time": min_time}
    bench = [(f"--{name}", str(value)) for name, value in chosen.items() if value is not None]
    options = ship.DeployOptions(
        models=[find_model(model) for model in files],
        target=target,
        samples=None if samples is None else Path(samples),
        prefix=prefix,
        settings=ship.SshSettings(
            port,
            None if identity is None else Path(identity),
            None if ssh_config is None else Path(ssh_config),
        ),
        results=Path(results),
        bench=tuple(word for pair in bench for word in pair),
    )
    verb = ship.roll_back if rollback else ship.dry_run if dry_run else ship.deploy
    return verb([hosts] if isinstance(hosts, str) else hosts, options)


def emulate(
    command: Sequence[str],
    root: str = "bullseye",
    *,
    log: Callable[[str], None] = lambda line: None,
) -> int:
    """Runs a command on an emulated Raspberry Pi 4; its timings are not those of a Pi.

    The working directory has the same path there; other files that the command writes are
    discarded. Its input and output are those of this process.

    Args:
        command: Program and arguments.
        root: `bullseye` (Python 3.9, TFLite 2.5), `bookworm` (3.11) or `trixie` (3.13).
        log: Called with one line of progress text while the system is fetched for the first time.

    Returns:
        The exit code of the command.

    Raises:
        UserError: The root is unknown, QEMU is missing, or the system cannot be fetched.
    """
    return subprocess.call(emulator_command(command, root, log))


def emulator_command(command: Sequence[str], root: str, log: Callable[[str], None]) -> list[str]:
    """The host's command for `emulate`, with the same arguments and errors."""
    from ghostdepth_export.pi4.emulator import Machine, bench_layer, build_root

    folder = Path.cwd()
    built = build_root(root, log)
    machine = Machine(built, layers=[bench_layer(built)], shares={folder: str(folder)})
    return machine.argv(command, cwd=str(folder))

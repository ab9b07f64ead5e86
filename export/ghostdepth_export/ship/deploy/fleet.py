"""Brings models to Raspberry Pis and measures them there: what `ghostdepth deploy` does."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.screen import say
from bench_depth.core.temporary import fresh_folder
from bench_depth.results.records import Results
from ghostdepth_export.ship.bundle import build_bundle, find_target
from ghostdepth_export.ship.deploy.compare import show
from ghostdepth_export.ship.deploy.deployment import Deployment
from ghostdepth_export.ship.deploy.options import DeployOptions
from ghostdepth_export.ship.deploy.reporter import Reporter
from ghostdepth_export.ship.deploy.ssh.hosts import check_hosts
from ghostdepth_export.ship.deploy.ssh.processes import Processes

# Where the first line of a program in a Python environment cannot name that environment.
_NO_PREFIX = re.compile(r"""["`$\\:]|'''""")


def deploy(hosts: Sequence[str], options: DeployOptions) -> int:
    """Installs on all hosts at once, measures there, and prints the tables.

    A host that fails does not stop the others; it keeps the version it had.

    Args:
        hosts: Destinations for ssh.
        options: Options of the deployment.

    Returns:
        The exit code: the worst of all hosts'; why is on standard error.

    Raises:
        UserError: An argument is wrong.
        KeyboardInterrupt: The user ended it; what ran on the Pis was ended before.
    """
    results: dict[str, Results] = {}
    with _fleet(hosts, options) as fleet:
        bundles = fleet.bundles()

        def work(deployment: Deployment) -> None:
            deployment.install(bundles[deployment.host])
            results[deployment.host] = deployment.measure()

        fleet.each(work)
    show({host: results[host] for host in hosts if host in results})
    return fleet.exit_code()


def dry_run(hosts: Sequence[str], options: DeployOptions) -> int:
    """Prints what `deploy` would do; changes nothing on the hosts. As `deploy` otherwise."""
    lines: dict[str, list[str]] = {}
    with _fleet(hosts, options, lock=False) as fleet:
        bundles = fleet.bundles()

        def work(deployment: Deployment) -> None:
            lines[deployment.host] = deployment.preview(bundles[deployment.host])

        fleet.each(work)
    for host in hosts:
        for line in lines.get(host, []):
            say(f"{host}: {line}")
    return fleet.exit_code()


def roll_back(hosts: Sequence[str], options: DeployOptions) -> int:
    """Switches all hosts back to the version before. As `deploy` otherwise."""
    with _fleet(hosts, options) as fleet:
        fleet.each(Deployment.roll_back)
    return fleet.exit_code()


@dataclass
class _Fleet:
    """All hosts, and which of them have failed."""

    options: DeployOptions
    reporter: Reporter
    processes: Processes
    folder: Path
    deployments: list[Deployment]
    errors: dict[str, UserError] = field(default_factory=dict)

    def each(self, work: Callable[[Deployment], Any]) -> None:
        """Does some work for every host that has not failed, all at the same time."""

        def guarded(deployment: Deployment) -> None:
            try:
                work(deployment)
            except UserError as error:
                self.fail(deployment, error)

        left = [one for one in self.deployments if one.host not in self.errors]
        with ThreadPoolExecutor(max(1, len(left))) as pool:
            futures = [pool.submit(guarded, deployment) for deployment in left]
            try:
                wait(futures)
            except KeyboardInterrupt:
                self.processes.interrupt()
                raise
        for future in futures:
            future.result()

    def bundles(self) -> dict[str, Path]:
        """The bundle for each host that can have one; each is built once."""
        targets: dict[str, str] = {}

        def work(deployment: Deployment) -> None:
            targets[deployment.host] = deployment.find_target()

        self.each(work)
        built: dict[str, Path] = {}
        for target in sorted(set(targets.values())):
            hosts = [one for one in self.deployments if targets.get(one.host) == target]
            try:
                folder = self._build(target, hosts)
            except UserError as error:
                for deployment in hosts:
                    self.fail(deployment, error)
            else:
                built.update((deployment.host, folder) for deployment in hosts)
        return built

    def fail(self, deployment: Deployment, error: UserError) -> None:
        """Leaves a host out from now on, and says why."""
        self.errors[deployment.host] = error
        self.reporter.log(f"ghostdepth: {deployment.host}", str(error))
        deployment.close()

    def exit_code(self) -> int:
        """The worst of all hosts'."""
        return max((error.exit_code for error in self.errors.values()), default=0)

    def _build(self, target: str, hosts: Sequence[Deployment]) -> Path:
        out = self.folder / target

        def progress(line: str) -> None:
            for deployment in hosts:
                self.reporter.step(deployment.host, line)

        options = self.options
        build_bundle(target, options.models, out, samples=options.samples, progress=progress)
        return out


@contextlib.contextmanager
def _fleet(hosts: Sequence[str], options: DeployOptions, *, lock: bool = True) -> Iterator[_Fleet]:
    _check(hosts, options)
    processes = Processes()
    with (
        fresh_folder("ghostdepth-deploy-") as folder,
        Reporter(hosts) as reporter,
        contextlib.ExitStack() as stack,
    ):
        deployments = [Deployment(host, options, reporter, processes, lock) for host in hosts]
        for deployment in deployments:
            stack.callback(deployment.close)
        yield _Fleet(options, reporter, processes, folder, deployments)


def _check(hosts: Sequence[str], options: DeployOptions) -> None:
    """Refuses what is known to fail before any host is asked."""
    check_hosts(hosts)
    options.settings.check()
    if options.target is not None:
        find_target(options.target)
    # As in install.sh, and before anything is built or sent.
    if not options.prefix.isprintable() or _NO_PREFIX.search(options.prefix):
        raise UserError(
            f"--prefix {options.prefix!r} holds a quote, `, $, \\, : or control character; choose "
            "another folder"
        )
    if not options.prefix.strip("/. "):
        raise UserError(
            f"--prefix {options.prefix!r} is a folder that holds other things; choose another "
            "folder, which is made"
        )
    for model in options.models:
        if not model.is_file():
            raise UserError(f"{model} is not a file; --models takes .tflite and .onnx files")

"""The deployment to one Pi: inspect, copy, install, measure; retried after a lost connection."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import write_bytes
from bench_depth.core.json_text import loads
from bench_depth.core.screen import counted
from bench_depth.results.records import Results, parse
from ghostdepth_export.ship.bundle import TARGETS, find_target, read_manifest
from ghostdepth_export.ship.deploy.copy import copy
from ghostdepth_export.ship.deploy.copy_plan import (
    CopyPlan,
    make_copy_plan,
    parse_listing,
    read_bundle,
    space_needed,
)
from ghostdepth_export.ship.deploy.options import DeployOptions
from ghostdepth_export.ship.deploy.reporter import Reporter
from ghostdepth_export.ship.deploy.ssh.connection import Link
from ghostdepth_export.ship.deploy.ssh.errors import LinkLostError, RemoteError, UnreachableError
from ghostdepth_export.ship.deploy.ssh.processes import Processes
from ghostdepth_export.ship.deploy.ssh.system import SystemFacts, check_fit

T = TypeVar("T")

_RETRIES = 2
_PAUSE_SECONDS = 2.0
# The Pi takes a moment to see that a deployment before this one has ended.
_WAIT = 5
# Longer than the Pi takes to notice that a connection is dead, see remote.sh.
_RETRY_WAIT = 75
# Exit codes of the bundle's installer.
_CHECKSUM, _DOES_NOT_RUN, _INSTALLING = 13, 15, 16


class Deployment:
    """The deployment to one Pi.

    Args:
        host: Destination for ssh.
        options: Options of the deployment.
        reporter: Shows the progress.
        processes: Runs ssh, rsync and sftp.
        lock: Whether to hold the lock on the Pi; without it nothing may be changed there.
    """

    def __init__(
        self,
        host: str,
        options: DeployOptions,
        reporter: Reporter,
        processes: Processes,
        lock: bool = True,
    ) -> None:
        self.host = host
        self._options, self._reporter, self._processes = options, reporter, processes
        self._lock = lock
        self._link: Link | None = None

    def close(self) -> None:
        """Ends the connection, where there is one."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def find_target(self) -> str:
        """Asks the Pi what it is.

        Returns:
            The key of `bundle.TARGETS` for it.

        Raises:
            UserError: It cannot be reached, or no bundle can run there.
        """
        self._step("connecting")
        facts = self._persist(lambda link: link.facts)
        name = self._options.target or _target_for(facts)
        check_fit(facts, name, find_target(name))
        return name

    def preview(self, bundle: Path) -> list[str]:
        """What `install` would do; changes nothing on the Pi.

        Raises:
            UserError: The connection failed, or the Pi's disk is too small.
        """
        facts, plan = self._persist(lambda link: (link.facts, self._plan(link, bundle)))
        manifest = read_manifest(bundle)
        lines = [f"would send {name}" for name in plan.send]
        lines.append(f"{counted(len(plan.send), 'file')}, {plan.to_send / 1e6:.1f} MB to send")
        lines.append(
            f"would install {manifest.id} for {manifest.target} at {facts.prefix}/current, "
            f"which is {facts.current or 'nothing yet'}"
        )
        return lines

    def install(self, bundle: Path) -> None:
        """Copies the bundle and installs it; until the end the Pi keeps the version it had.

        Raises:
            UserError: The line says at what it failed.
        """
        self._persist(lambda link: self._install(link, bundle))

    def measure(self) -> Results:
        """Runs bench-depth on the Pi and fetches its results.

        Raises:
            UserError: A model failed, or the connection; results of the models before are kept.
        """
        try:
            self._persist(self._bench)
        except RemoteError as error:
            error.exit_code = MODEL_FAILED
            with contextlib.suppress(UserError):
                self._persist(self._fetch)
            raise
        self._step("fetching results")
        return self._persist(self._fetch)

    def roll_back(self) -> None:
        """Back to the version before.

        Raises:
            UserError: There is none, or the connection failed.
        """
        self._persist(lambda link: link.watch("rollback", line=self._on_line))

    def _persist(self, work: Callable[[Link], T]) -> T:
        """Does some work over the connection, and again where it breaks off."""
        for attempt in range(_RETRIES + 1):
            try:
                return work(self._connected(attempt))
            except UserError as error:
                if attempt == _RETRIES or not _may_pass(error, attempt):
                    raise
                self.close()
                self._reporter.log(self.host, f"{error}; trying again")
            self._processes.pause(_PAUSE_SECONDS * (attempt + 1))
        raise AssertionError

    def _connected(self, attempt: int) -> Link:
        if self._link is None:
            wait = (_RETRY_WAIT if attempt else _WAIT) if self._lock else None
            options = self._options
            self._link = Link(self.host, options.settings, options.prefix, self._processes, wait)
        return self._link

    def _plan(self, link: Link, bundle: Path) -> CopyPlan:
        self._step("comparing")
        manifest = read_manifest(bundle)
        listing = parse_listing(link.ask("list", manifest.id))
        plan = make_copy_plan(read_bundle(bundle), listing, manifest.id)
        needed, free = space_needed(manifest.env_bytes, plan), link.facts.free
        if needed > free:
            raise UserError(
                f"{needed / 1e6:.1f} MB are needed at {link.facts.prefix}, {free / 1e6:.1f} MB are "
                "free; make room there"
            )
        return plan

    def _install(self, link: Link, bundle: Path) -> None:
        plan = self._plan(link, bundle)
        bundle_id = read_manifest(bundle).id
        link.ask("prepare", bundle_id, data=plan.instructions())
        self._log(f"sending {counted(len(plan.send), 'file')}, {plan.to_send / 1e6:.1f} MB")
        copy(link, bundle, bundle_id, plan, lambda fraction: self._step("copying", fraction))
        self._step("installing")
        try:
            link.watch("install", bundle_id, line=self._on_line)
        except RemoteError as error:
            if error.code == _DOES_NOT_RUN:
                error.exit_code = MODEL_FAILED
            raise

    def _bench(self, link: Link) -> None:
        current = f"{link.facts.prefix}/current"
        arguments = list(self._options.bench)
        for model in self._options.models:
            arguments += ["--model", f"{current}/models/{model.name}"]
        if self._options.samples is not None:
            arguments += ["--data", f"{current}/samples"]
        self._step("measuring")
        link.watch("bench", *arguments, line=self._step)

    def _fetch(self, link: Link) -> Results:
        target = self._options.results / self.host / "results.json"
        data = link.ask("fetch").encode(errors="surrogateescape")
        name = f"{link.facts.prefix}/results.json"
        try:
            results = parse(loads(data), name)
        except ValueError as error:
            raise UserError(f"cannot read {name}: {error}; measure again") from error
        write_bytes(target, data)
        self._log(f"results are in {target}")
        return results

    def _on_line(self, text: str) -> None:
        """Shows a line of the installer; the last one, which says what is done, stays."""
        done = text.startswith(("installed ", "rolled back "))
        (self._log if done else self._step)(text)

    def _step(self, text: str, fraction: float | None = None) -> None:
        self._reporter.step(self.host, text, fraction)

    def _log(self, text: str) -> None:
        self._reporter.log(self.host, text)


def _target_for(facts: SystemFacts) -> str:
    """The target with the Pi's Python; any target where the Pi has no Python at all."""
    fitting = [name for name, one in TARGETS.items() if one.system.python == facts.python]
    if not fitting and facts.python != "none":
        pythons = ", ".join(target.system.python for target in TARGETS.values())
        raise UserError(f"it has Python {facts.python}; there are bundles for {pythons}")
    return [*fitting, *TARGETS][0]


def _may_pass(error: UserError, attempt: int) -> bool:
    """Whether trying again may help; a host that answered before may be starting anew."""
    if isinstance(error, RemoteError):
        return error.code in (_CHECKSUM, _INSTALLING)
    return isinstance(error, LinkLostError) or (attempt > 0 and isinstance(error, UnreachableError))

"""Measures model files: what the command and the demo call."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from bench_depth import __version__
from bench_depth.accuracy.evaluation import EvaluatedImage, alignment, evaluate
from bench_depth.accuracy.readers import Dataset, open_dataset
from bench_depth.accuracy.records import Accuracy
from bench_depth.commands.options import BenchOptions, check_options
from bench_depth.core.errors import UserError
from bench_depth.machine import conditions, memory
from bench_depth.machine.board import Health, default_threads, read_board, read_health
from bench_depth.machine.guard import HANG, OnTask
from bench_depth.model.contract import read_contract
from bench_depth.model.description import describe
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import Signature
from bench_depth.results.advice import warnings_for
from bench_depth.results.records import Context, ModelRecord, Results, RuntimeRecord
from bench_depth.timing import comparison
from bench_depth.timing.measure import Interrupted, Timing, TimingPlan, measure, measure_in_turn
from bench_depth.timing.profiling.run import profile
from bench_depth.timing.session import Job, Session, open_session, time_frames
from bench_depth.timing.sustained import Sustained, sustain

OnRun = Callable[[str, Callable[[], float], Sequence[int]], None]


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a benchmark.

    Attributes:
        log: Called with one line of progress text.
        on_results: Called with the results so far: before the first model and after every change,
            so that nothing is lost when a later model fails.
        on_run: Called after each counted run, outside the timed interval, with the label of what is
            timed, a function that returns the completed fraction (0 to 1), and the times so far in
            nanoseconds.
        on_task: Called before each task that may crash or hang inside a runtime, with its
            description and its time limit in seconds (None for none): see `guard.guarded`.
        on_image: Called with the index of a model's record and each dataset image that its depth
            was compared on.
    """

    log: Callable[[str], None]
    on_results: Callable[[Results], None] = lambda results: None
    on_run: OnRun = lambda label, fraction, times_ns: None
    on_task: OnTask = lambda what, limit: None
    on_image: Callable[[int, EvaluatedImage], None] = lambda index, image: None


def bench(models: Sequence[Path], options: BenchOptions, hooks: Hooks) -> Results:
    """Measures model files, in turns or one after the other.

    Args:
        models: .tflite and .onnx files.
        options: How.
        hooks: Who is told.

    Returns:
        One record per model and number of threads, in their order.

    Raises:
        UserError: An option or a file is wrong. Everything that can be checked is checked before
            the first model is run; where a model cannot be loaded, the others are measured first.
        KeyboardInterrupt: Ctrl-C; what was measured until then has been handed to `keep`.
    """
    models = [Path(path) for path in models]
    check_options(models, options)
    jobs = _jobs(models, options)
    dataset = _dataset(options)
    for path in models:
        read_contract(path)
    if options.affinity is not None:
        conditions.bind(options.affinity)
    return _Bench(jobs, options, dataset, hooks).run()


class _Bench:
    """The state of one call of `bench`."""

    def __init__(
        self,
        jobs: Sequence[Job],
        options: BenchOptions,
        dataset: Optional[Dataset],
        hooks: Hooks,
    ) -> None:
        self._jobs, self._options, self._dataset, self._hooks = jobs, options, dataset, hooks
        wanted = options.interleave
        self._interleaved = len(jobs) > 1 and (wanted is None or wanted)
        self._idle = read_health()
        self._failed: Optional[UserError] = None
        self._results = Results(_context(options, jobs, self._interleaved))
        # What each record was made from.
        self._measured: list[tuple[Job, Signature]] = []

    def run(self) -> Results:
        self._hooks.on_results(self._results)
        if self._interleaved:
            self._take_turns()
        else:
            for job in self._jobs:
                self._alone(job)
        if self._options.profile_seconds:
            # After everything else, when no model is loaded any more: it must not heat the board
            # before another model's latency is measured.
            for place, (job, signature) in enumerate(self._measured):
                self._profile(place, job, signature)
        if self._failed is not None:
            raise self._failed
        return self._results

    def _alone(self, job: Job) -> None:
        # In a method of its own, so that the model is gone before the next is loaded.
        self._announce(job)
        session = self._open(job)
        if session is None:
            return
        before = self._ready()
        self._time([session], before, lambda: [self._measure(session)])

    def _take_turns(self) -> None:
        sessions: list[Session] = []
        at_rest = memory.rss_bytes()
        for job in self._jobs:
            self._announce(job)
            session = self._open(job, memory.rss_bytes() - at_rest)
            if session is not None:
                sessions.append(session)
        if not sessions:
            return
        before = self._ready()
        self._hooks.log(f"{len(sessions)} models take turns")
        self._time(sessions, before, lambda: self._in_turn(sessions))

    def _time(
        self,
        sessions: Sequence[Session],
        before: Health,
        measured: Callable[[], list[Timing]],
    ) -> None:
        """Times loaded models, adds their records, then their accuracy."""
        try:
            timings = measured()
        except Interrupted as stop:
            after = read_health()
            for session, timing in zip(sessions, stop.timings):
                record = self._record(session, timing, before, after)
                codes = [*record.warnings, "interrupted"]
                self._add(dataclasses.replace(record, warnings=codes))
            raise
        after = read_health()
        first = len(self._results.models)
        for session, timing in zip(sessions, timings):
            self._add(self._record(session, timing, before, after))
            self._measured.append((session.job, session.signature))
        for place, session in enumerate(sessions, first):
            self._finish(place, session)

    def _finish(self, place: int, session: Session) -> None:
        """Adds what is measured after the latency: whole frames, a long run, accuracy."""
        frames = time_frames(session, self._options.plan)
        self._replace(place, **frames)
        if self._options.sustain_minutes:
            self._replace(place, sustained=self._sustain(session))
        if self._dataset is not None:
            self._replace(place, accuracy=self._accuracy(place, session, self._dataset))

    def _profile(self, place: int, job: Job, signature: Signature) -> None:
        """Adds the times of a model's ops; where that fails, a warning."""
        seconds = self._options.profile_seconds
        self._hooks.log(f"{job.label}: its ops, {seconds:g} s")
        try:
            self._ready()
            self._replace(place, profile=profile(job, signature, seconds))
        except UserError as error:
            self._hooks.log(f"{job.label}: {error}; there is no profile of it")
            codes = [*self._results.models[place].warnings, "no-profile"]
            self._replace(place, warnings=codes)

    def _measure(self, session: Session) -> Timing:
        plan, label = self._options.plan, session.job.label

        def watch(times: Sequence[int]) -> None:
            self._hooks.on_run(label, lambda: _done(times, plan), times)

        return measure(session.model.invoke, plan, watch=watch)

    def _in_turn(self, sessions: Sequence[Session]) -> list[Timing]:
        plan = self._options.plan
        latest: dict[int, Sequence[int]] = {}

        def fraction() -> float:
            return sum(_done(times, plan) for times in latest.values()) / len(sessions)

        def watch(which: int, times: Sequence[int]) -> None:
            latest[which] = times
            self._hooks.on_run(sessions[which].job.label, fraction, times)

        return measure_in_turn([s.model.invoke for s in sessions], plan, watch=watch)

    def _open(self, job: Job, others_bytes: int = 0) -> Optional[Session]:
        """Loads a model; None where that fails: the others are measured, then it is told."""
        self._hooks.on_task(str(job.path), HANG)
        try:
            session = open_session(job, others_bytes)
            alignment(session.signature, self._options.align)
        except UserError as error:
            if len(self._jobs) > 1:
                self._hooks.log(f"{error}; the other models are measured")
            self._failed = self._failed or error
            return None
        finally:
            self._hooks.on_task(str(job.path), None)
        return session

    def _announce(self, job: Job) -> None:
        plan = self._options.plan
        self._hooks.log(
            f"{job.path.name}: {job.runtime.name}, {job.threads} "
            f"thread{'s' if job.threads > 1 else ''}, at least {plan.min_runs} runs and "
            f"{plan.min_time:g} s"
        )

    def _ready(self) -> Health:
        if self._options.cooldown_to is not None:
            conditions.cool_down(self._options.cooldown_to, self._hooks.log)
        return read_health()

    def _sustain(self, session: Session) -> Sustained:
        minutes = self._options.sustain_minutes
        self._hooks.log(f"{session.job.label}: {minutes:g} minutes without a pause")

        def watch(seconds: float, median_ms: float) -> None:
            label = f"{session.job.label}, sustained"
            self._hooks.on_run(label, lambda: seconds / 60 / minutes, [round(median_ms * 1e6)])

        return sustain(session.model.invoke, minutes, watch=watch)

    def _record(
        self,
        session: Session,
        invoke: Timing,
        before: Health,
        after: Health,
    ) -> ModelRecord:
        codes = warnings_for(
            session.contract is not None or session.job.description is not None,
            self._results.context.board,
            signature=session.signature,
            idle=self._idle,
            before=before,
            after=after,
            first_ms=session.first_ms,
            invoke=invoke,
        )
        model = session.model
        return ModelRecord(
            file=session.job.path.name,
            bytes=len(session.data),
            sha256=hashlib.sha256(session.data).hexdigest(),
            contract=session.contract,
            runtime=RuntimeRecord(model.name, model.version, model.xnnpack),
            input=str(model.inputs[0]),
            output=str(model.outputs[session.signature.output or 0]),
            load_ms=session.load_ms,
            first_ms=session.first_ms,
            preprocess=None,
            invoke=invoke,
            postprocess=None,
            peak_rss_bytes=session.peak_rss_bytes,
            before=before,
            after=after,
            accuracy=None,
            warnings=codes,
            threads=session.job.threads,
            description=session.job.description,
            comparison=self._compared(invoke),
        )

    def _compared(self, invoke: Timing) -> Optional[comparison.Comparison]:
        if not self._results.models:
            return None
        reference = self._results.models[0]
        compare = comparison.in_turn if self._interleaved else comparison.apart
        return compare(invoke, reference.invoke, reference.file)

    def _add(self, record: ModelRecord) -> None:
        self._keep([*self._results.models, record])

    def _accuracy(self, place: int, session: Session, dataset: Dataset) -> Accuracy:
        options, job = self._options, session.job
        predictions = options.save_predictions
        if predictions is not None and len(self._jobs) > 1:
            predictions = predictions / job.path.name
        note = f"; {dataset.note}" if dataset.note else ""
        self._hooks.log(
            f"{job.label}: accuracy on {len(dataset.frames)} photos of {dataset.label}{note}"
        )
        return evaluate(
            session.model,
            session.signature,
            dataset.frames,
            data=dataset.label,
            median_ms=self._results.models[place].invoke.statistics.median,
            align=options.align,
            predictions=predictions,
            on_image=lambda image: self._hooks.on_image(place, image),
        )

    def _replace(self, place: int, **changes: Any) -> None:
        records = list(self._results.models)
        records[place] = dataclasses.replace(records[place], **changes)
        self._keep(records)

    def _keep(self, records: list[ModelRecord]) -> None:
        self._results = dataclasses.replace(self._results, models=records)
        self._hooks.on_results(self._results)


def _done(times_ns: Sequence[int], plan: TimingPlan) -> float:
    runs = len(times_ns) / max(plan.min_runs, 1)
    seconds = sum(times_ns) / 1e9 / plan.min_time if plan.min_time else 1.0
    return min(runs, seconds, 1.0)


def _dataset(options: BenchOptions) -> Optional[Dataset]:
    if options.data is None:
        return None
    return open_dataset(options.data, options.data_format, options.data_split, options.data_limit)


def _jobs(models: Sequence[Path], options: BenchOptions) -> list[Job]:
    counts = list(options.threads) or [default_threads()]
    jobs = []
    for path in models:
        runtime = choose(path, options.runtime)
        said = describe(path, options.description)
        for threads in counts:
            several = len(counts) > 1
            label = f"{path.name}, {threads} thread{'s' if threads > 1 else ''}"
            label = label if several else path.name
            need_depth = options.data is not None
            jobs.append(Job(path, runtime, said, need_depth, threads, label))
    return jobs


def _context(options: BenchOptions, jobs: Sequence[Job], interleaved: bool) -> Context:
    return Context(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        program=f"bench-depth {__version__}",
        commit=_commit(),
        python=platform.python_version(),
        board=read_board(),
        threads=jobs[0].threads,
        warmup=options.plan.warmup,
        min_runs=options.plan.min_runs,
        min_time=options.plan.min_time,
        affinity=options.affinity,
        interleaved=interleaved,
    )


def _commit() -> Optional[str]:
    """The last commit of this package's source; None where it is installed or git is missing."""
    git = shutil.which("git")
    if git is None:
        return None
    # Asking for the folder's own history keeps a virtual environment inside some other repository
    # from giving that repository's commit.
    folder = Path(__file__).resolve().parent
    done = subprocess.run(
        [git, "-C", str(folder), "log", "-1", "--format=%H", "--", "."],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or None

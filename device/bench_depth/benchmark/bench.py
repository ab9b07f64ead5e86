"""Benchmarks model files; called by the command line and by other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from bench_depth.accuracy.evaluation import alignment
from bench_depth.accuracy.readers import Dataset, open_dataset
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions, check_options
from bench_depth.benchmark.record import make_context, make_record
from bench_depth.benchmark.stages import (
    limited,
    measure_accuracy,
    run_sustained,
    time_alone,
    time_interleaved,
)
from bench_depth.core.errors import UserError
from bench_depth.core.files import make_folder
from bench_depth.core.screen import counted
from bench_depth.machine import conditions, memory
from bench_depth.machine.board import Health, default_threads, read_health
from bench_depth.machine.guard import HANG
from bench_depth.model.contract import read_contract
from bench_depth.model.description import describe
from bench_depth.model.released import find_model
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import Signature
from bench_depth.plausibility.data_checks import SurveyedFrame, require_usable
from bench_depth.plausibility.survey import DataSurvey
from bench_depth.results.records import ModelRecord, Results
from bench_depth.timing.measure import Interrupted, Timing
from bench_depth.timing.profiling.run import profile
from bench_depth.timing.session import Job, Session, open_session, time_frames


def bench(models: Sequence[Path], options: BenchOptions, hooks: Hooks) -> Results:
    """Measures model files, interleaved or one after the other.

    Args:
        models: Paths of .tflite and .onnx files, or names of released models.
        options: Quantities to measure, the timing and the conditions.
        hooks: Callbacks.

    Returns:
        One record per model and number of threads, in the order in which they were given.

    Raises:
        UserError: An option or a file is wrong. Everything that can be checked is checked before
            the first model is run; where a model cannot be loaded, the others are measured first.
        KeyboardInterrupt: Ctrl-C was pressed; what was measured until then has been passed to
            `hooks.on_results`.
    """
    models = [find_model(path) for path in models]
    check_options(models, options)
    jobs = _jobs(models, options, hooks)
    dataset = _dataset(options)
    if options.save_predictions is not None:
        make_folder(options.save_predictions)
    for path in models:
        hooks.on_task(str(path), HANG)
        read_contract(path)
        hooks.on_task(str(path), None)
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
        self._jobs, self._options, self._hooks = jobs, options, hooks
        self._survey = DataSurvey()
        self._dataset = self._surveyed(dataset)
        self._interleaved = len(jobs) > 1 and options.interleave is not False
        self._idle = read_health()
        self._failed: Optional[UserError] = None
        self._results = Results(make_context(options, jobs, self._interleaved))
        # The job and signature of each record.
        self._measured: list[tuple[Job, Signature]] = []

    def run(self) -> Results:
        self._hooks.on_results(self._results)
        if self._interleaved:
            self._measure_interleaved()
        else:
            for job in self._jobs:
                self._measure_alone(job)
        if self._options.profile_seconds:
            # After everything else, when no model is loaded any more: profiling must not heat the
            # board before another model's latency is measured.
            for index, (job, signature) in enumerate(self._measured):
                self._profile(index, job, signature)
        if self._failed is not None:
            raise self._failed
        return self._results

    def _measure_alone(self, job: Job) -> None:
        # A method of its own, so that the model is freed before the next one is loaded.
        self._announce(job)
        session = self._open(job)
        if session is None:
            return
        before = self._cool_down()
        self._measure(
            [session], before, lambda: [time_alone(session, self._options.plan, self._hooks)]
        )

    def _measure_interleaved(self) -> None:
        sessions: list[Session] = []
        at_rest = memory.rss_bytes()
        for job in self._jobs:
            self._announce(job)
            session = self._open(job, memory.rss_bytes() - at_rest)
            if session is not None:
                sessions.append(session)
        if not sessions:
            return
        before = self._cool_down()
        self._hooks.log(f"{len(sessions)} models take turns")
        self._measure(
            sessions, before, lambda: time_interleaved(sessions, self._options.plan, self._hooks)
        )

    def _measure(
        self, sessions: Sequence[Session], before: Health, time_runs: Callable[[], list[Timing]]
    ) -> None:
        """Times loaded models and adds their records, then measures the rest of each."""
        try:
            timings = time_runs()
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
        for index, session in enumerate(sessions, first):
            self._measure_rest(index, session)

    def _measure_rest(self, index: int, session: Session) -> None:
        """Measures what follows the latency: whole frames, a sustained run, accuracy."""
        options = self._options
        with limited(session, self._hooks) as arm:
            self._replace(index, **time_frames(session, options.plan, arm))
        if options.sustain_minutes:
            sustained = run_sustained(session, options.sustain_minutes, self._hooks)
            self._replace(index, sustained=sustained)
        if self._dataset is not None:
            predictions = options.save_predictions
            if predictions is not None and len(self._jobs) > 1:
                predictions = predictions / session.job.path.name
            accuracy, outputs = measure_accuracy(
                index,
                session,
                self._dataset,
                self._hooks,
                median_ms=self._results.models[index].invoke.statistics.median,
                align=options.align,
                predictions=predictions,
            )
            self._replace(index, accuracy=accuracy)
            self._warn_of_data(index, outputs)

    def _surveyed(self, dataset: Optional[Dataset]) -> Optional[Dataset]:
        """The dataset whose frames are surveyed as they are read; a bad header ends it now."""
        if dataset is None:
            return None
        require_usable(dataset.frames, self._survey)
        frames = [SurveyedFrame(frame, self._survey) for frame in dataset.frames]
        return dataclasses.replace(dataset, frames=frames)

    def _warn_of_data(self, index: int, outputs: Sequence[str]) -> None:
        """Adds the warnings about the photos' depth, which were logged, and about the data."""
        findings = self._survey.findings()
        if index == 0:
            for finding in findings:
                self._hooks.log(finding.line)
        codes = [*self._results.models[index].warnings, *outputs]
        codes += [finding.code for finding in findings]
        self._replace(index, warnings=list(dict.fromkeys(codes)))

    def _profile(self, index: int, job: Job, signature: Signature) -> None:
        """Adds the time of each op of a model; where that fails, a warning."""
        seconds = self._options.profile_seconds
        self._hooks.log(f"{job.label}: its ops, {seconds:g} s")
        try:
            self._cool_down()
            self._replace(index, profile=profile(job, signature, seconds))
        except UserError as error:
            self._hooks.log(f"{job.label}: {error}; there is no profile of it")
            codes = [*self._results.models[index].warnings, "no-profile"]
            self._replace(index, warnings=codes)

    def _open(self, job: Job, others_bytes: int = 0) -> Optional[Session]:
        """Loads a model; None where that fails: the error is raised after the other models."""
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
            f"{job.path.name}: {job.runtime.name}, {counted(job.threads, 'thread')}, at least "
            f"{counted(plan.min_runs, 'run')} and {plan.min_time:g} s"
        )

    def _cool_down(self) -> Health:
        if self._options.cooldown_to is not None:
            conditions.cool_down(self._options.cooldown_to, self._hooks.log)
        return read_health()

    def _record(
        self, session: Session, invoke: Timing, before: Health, after: Health
    ) -> ModelRecord:
        return make_record(
            session,
            invoke,
            self._results.context.board,
            idle=self._idle,
            before=before,
            after=after,
            reference=self._results.models[0] if self._results.models else None,
            interleaved=self._interleaved,
        )

    def _add(self, record: ModelRecord) -> None:
        self._update([*self._results.models, record])

    def _replace(self, index: int, **changes: Any) -> None:
        records = list(self._results.models)
        records[index] = dataclasses.replace(records[index], **changes)
        self._update(records)

    def _update(self, records: list[ModelRecord]) -> None:
        self._results = dataclasses.replace(self._results, models=records)
        self._hooks.on_results(self._results)


def _dataset(options: BenchOptions) -> Optional[Dataset]:
    if options.data is None:
        return None
    return open_dataset(options.data, options.data_format, options.data_split, options.data_limit)


def _jobs(models: Sequence[Path], options: BenchOptions, hooks: Hooks) -> list[Job]:
    counts = list(options.threads) or [default_threads()]
    jobs = []
    passed_over: dict[str, None] = {}
    for path in models:
        faults: list[str] = []
        # A runtime is imported to find out whether it works, and may crash.
        hooks.on_task(str(path), HANG)
        runtime = choose(path, options.runtime, faults.append)
        hooks.on_task(str(path), None)
        passed_over.update(dict.fromkeys(faults))
        description = describe(path, options.description)
        for threads in counts:
            label = f"{path.name}, {counted(threads, 'thread')}" if len(counts) > 1 else path.name
            need_depth = options.data is not None
            jobs.append(Job(path, runtime, description, need_depth, threads, label, bool(faults)))
    for line in passed_over:
        hooks.log(line)
    return jobs

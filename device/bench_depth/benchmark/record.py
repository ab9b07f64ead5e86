"""Builds the parts of a results file: its context and the record of one model."""

from __future__ import annotations

import datetime
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from bench_depth import __version__
from bench_depth.benchmark.options import BenchOptions
from bench_depth.machine.board import Board, Health, read_board
from bench_depth.results.advice import ratio_unclear, warnings_for
from bench_depth.results.records import Context, ModelRecord, RuntimeRecord
from bench_depth.timing import comparison
from bench_depth.timing.measure import Timing
from bench_depth.timing.session import Job, Session


def make_context(options: BenchOptions, jobs: Sequence[Job], interleaved: bool) -> Context:
    """The context of a benchmark that begins now."""
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


def make_record(
    session: Session,
    invoke: Timing,
    board: Board,
    *,
    idle: Health,
    before: Health,
    after: Health,
    reference: Optional[ModelRecord],
    interleaved: bool,
) -> ModelRecord:
    """The record of a model whose runs have been timed; everything else is still None.

    Args:
        session: The loaded model.
        invoke: Times of its counted runs.
        board: The machine.
        idle: State of the machine before any model ran.
        before: State of the machine before this model was timed.
        after: State of the machine after that.
        reference: Record of the first model of the file; None for the first model.
        interleaved: Whether both took turns.
    """
    model, job = session.model, session.job
    codes = warnings_for(
        session.contract is not None or job.description is not None,
        board,
        signature=session.signature,
        idle=idle,
        before=before,
        after=after,
        first_ms=session.first_ms,
        invoke=invoke,
        passed_over=job.passed_over,
        xnnpack_ops=model.xnnpack_ops,
    )
    compare = comparison.in_turn if interleaved else comparison.apart
    compared = None
    if reference is not None:
        compared = compare(invoke, reference.invoke, reference.file)
        if ratio_unclear(compared, invoke, reference.invoke):
            codes.append("ratio-unclear")
    return ModelRecord(
        file=job.path.name,
        bytes=session.identity.bytes,
        sha256=session.identity.sha256,
        contract=session.contract,
        runtime=RuntimeRecord(model.name, model.version, model.xnnpack, model.xnnpack_ops),
        input=session.input,
        output=session.output,
        load_ms=session.load_ms,
        first_ms=session.first_ms,
        preprocess=None,
        invoke=invoke,
        postprocess=None,
        peak_rss_bytes=session.peak_rss_bytes,
        before=before,
        after=after,
        accuracy=None,
        warnings=[*codes, *session.output_codes()],
        threads=job.threads,
        description=job.description,
        comparison=compared,
    )


def _commit() -> Optional[str]:
    """The last commit of this package's source; None where it is installed or git is missing."""
    git = shutil.which("git")
    if git is None:
        return None
    # Asking for the folder's own history keeps a virtual environment inside some other repository
    # from reporting that repository's commit.
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [git, "-C", str(folder), "log", "-1", "--format=%H", "--", "."],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.stdout.strip() or None

"""Functions about datasets: check, convert."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.core.errors import refuse_warnings

if TYPE_CHECKING:
    from bench_depth.accuracy.readers import Dataset
    from bench_depth.plausibility.survey import DataSurvey, Finding
    from ghostdepth_train.data import Split


def check(
    data: Path | str,
    *,
    html: Path | str | None = None,
    strict: bool = False,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Dataset, DataSurvey]]:
    """Checks a dataset: pairs, sizes, distances, and what looks implausible.

    Args:
        data: Dataset folder, a folder with `train/` and `val/`, or a published dataset.
        html: HTML file for a page with sixteen pairs; None for none.
        strict: Whether implausible data is an error.
        on_image: Called after each image with the number of images done, and that of all.

    Returns:
        Each part of the dataset with its survey, whose `lines()` are the figures and `findings()`
        the warnings.

    Raises:
        UserError: A file cannot be read, no pixel of a part has depth, the page cannot be written,
            or there are warnings and `strict` is set (exit code 4).
    """
    from bench_depth.accuracy.readers import open_dataset
    from bench_depth.plausibility.data_checks import survey_frames

    data = Path(data)
    parts = [data / part for part in ("train", "val") if (data / part / "rgb").is_dir()]
    sets = [open_dataset(folder) for folder in parts or [data]]
    total, before = sum(len(dataset.frames) for dataset in sets), 0
    surveys: list[tuple[Dataset, DataSurvey]] = []
    for dataset in sets:

        def frame(done: int, before: int = before) -> None:
            on_image(before + done, total)

        surveys.append((dataset, survey_frames(dataset.frames, dataset.label, frame)))
        before += len(dataset.frames)
    if len(surveys) == 2:
        (train, _), (val, survey) = surveys
        survey.add_shared(train.frames, val.frames)
    if html is not None:
        from ghostdepth_export.pages.check_page import write_page

        write_page(Path(html), data.resolve().name, surveys)
    found = [finding for _, survey in surveys for finding in survey.findings()]
    report_findings(found, strict, lambda line: None)
    return surveys


def convert(
    source: str,
    path: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Converts a published dataset into a dataset folder.

    Args:
        source: `nyu`, `tum`, `kitti` or `diode`.
        path: File or folder of the dataset.
        out: Dataset folder to write.
        split: Name of a split: `train` or `test` of nyu, `train` or `val` of kitti; None for all.
        on_image: Called after each image with the number of images done, and that of all.

    Returns:
        The number of pairs.

    Raises:
        UserError: The source is unknown, a file cannot be read or written, or another process
            converts into `out`.
    """
    from ghostdepth_train.data.convert import convert as run

    return run(source, Path(path), Path(out), split=split, progress=on_image)


def warn_of_data(split: Split, where: str, strict: bool, log: Callable[[str], None]) -> None:
    """Checks the data before work starts and logs the warnings.

    Args:
        split: Training and validation pairs.
        where: Name of the data, for messages.
        strict: Whether warnings end the work.
        log: Called with one line for each warning.

    Raises:
        UserError: A file cannot be used, all depth of a set is unknown, or there are warnings and
            `strict` is set (exit code 4).
    """
    from ghostdepth_train.data import survey_split

    report_findings(survey_split(split, where), strict, log)


def report_findings(findings: Sequence[Finding], strict: bool, log: Callable[[str], None]) -> None:
    """Logs the warnings about data.

    Args:
        findings: The warnings.
        strict: Whether warnings end the work.
        log: Called with one line for each warning.

    Raises:
        UserError: There are warnings and `strict` is set (exit code 4).
    """
    for finding in findings:
        log(finding.line)
    refuse_warnings([finding.code for finding in findings], strict)

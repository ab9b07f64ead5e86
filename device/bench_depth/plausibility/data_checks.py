"""Plausibility of a dataset: the one set of checks that check, train, evaluate and bench share.

The files are read into a `DataSurvey`, which gives the warnings; what cannot be used at all is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import Frame, Pair, differing_sizes, wrong_kind
from bench_depth.core.errors import UserError
from bench_depth.core.picture import read_header
from bench_depth.core.screen import counted
from bench_depth.plausibility.survey import DataSurvey

# Pairs that are decoded where decoding all would take longer than anybody waits.
SAMPLE = 64


@dataclass(frozen=True)
class SurveyedFrame:
    """A frame that is added to a survey when it is read; a `Frame` itself."""

    frame: Frame
    survey: DataSurvey

    @property
    def name(self) -> str:
        """Name of the frame."""
        return self.frame.name

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Reads the frame, see `Frame`."""
        photo, depth = self.frame.read()
        self.survey.add(self.name, photo, depth)
        return photo, depth


def survey_pairs(pairs: Sequence[Pair], where: str, sample: int = SAMPLE) -> DataSurvey:
    """Checks the headers of all pairs and decodes some of them.

    Args:
        pairs: The pairs of one dataset.
        where: Name of the dataset, for messages.
        sample: Number of pairs to decode, evenly spaced.

    Raises:
        UserError: A file cannot be used; the line names the first one and counts the others. Or no
            pair has a known depth.
    """
    survey = DataSurvey()
    require_usable(pairs, survey)
    survey_some(pairs, survey, where, sample)
    return survey


def survey_some(
    frames: Sequence[Frame], survey: DataSurvey, where: str, sample: int = SAMPLE
) -> None:
    """Decodes some frames, evenly spaced, or all where none of these has a known depth.

    Args:
        frames: The frames of one dataset.
        survey: The survey that they are added to.
        where: Name of the dataset, for messages.
        sample: Number of frames to decode.

    Raises:
        UserError: As `survey_pairs`.
    """
    chosen = frames
    if sample < len(frames):
        chosen = [frames[(2 * i + 1) * len(frames) // (2 * sample)] for i in range(sample)]
    refuse_faults(list(_decode(chosen, survey)))
    if len(chosen) < len(frames) and not survey.any_depth:
        refuse_faults(list(_decode(frames, survey)))
    survey.require_depth(where)


def survey_frames(
    frames: Sequence[Frame], where: str, on_frame: Callable[[int], None] = lambda done: None
) -> DataSurvey:
    """Decodes all frames of a dataset.

    Args:
        frames: Frames of a dataset folder or of a published dataset.
        where: Name of the dataset, for messages.
        on_frame: Called after each frame with their number.

    Raises:
        UserError: As `survey_pairs`.
    """
    survey = DataSurvey()
    require_usable(frames, survey)
    refuse_faults(list(_decode(frames, survey, on_frame)))
    survey.require_depth(where)
    return survey


def require_usable(frames: Sequence[Frame], survey: DataSurvey) -> None:
    """Reads the headers of all files of a dataset folder; frames of other datasets have none.

    Raises:
        UserError: A file cannot be used; the line names the first one and counts the others.
    """
    refuse_faults(
        list(check_headers([frame for frame in frames if isinstance(frame, Pair)], survey))
    )


def refuse_faults(faults: Sequence[str]) -> None:
    """Refuses data of which files cannot be used.

    Args:
        faults: A message for each of these files.

    Raises:
        UserError: There are any; the line is the first one and counts the others.
    """
    if faults:
        count = len(faults) - 1
        more = f" ({counted(count, 'more file')} cannot be used)" if count else ""
        raise UserError(f"{faults[0]}{more}")


def check_headers(pairs: Sequence[Pair], survey: DataSurvey) -> Iterator[str]:
    """Reads the headers of all files and adds them to the survey.

    Yields:
        A message for each pair that cannot be used.
    """
    for pair in pairs:
        try:
            photo, depth = read_header(pair.rgb), read_header(pair.depth)
            if photo is None or depth is None:  # Of a rare kind, or no picture at all.
                pair.read()
        except UserError as error:
            yield str(error)
            continue
        if photo is not None:
            survey.add_header(pair.name, photo)
        if depth is not None and (depth.bits, depth.channels) != (16, 1):
            yield wrong_kind(pair.depth, depth.bits, depth.channels)
        elif photo is not None and depth is not None:
            sizes = (photo.width, photo.height), (depth.width, depth.height)
            if sizes[0] != sizes[1]:
                yield differing_sizes(pair, *sizes)


def _decode(
    frames: Sequence[Frame],
    survey: DataSurvey,
    on_frame: Callable[[int], None] = lambda done: None,
) -> Iterator[str]:
    for done, frame in enumerate(frames, 1):
        try:
            survey.add(frame.name, *frame.read())
        except UserError as error:
            yield str(error)
        on_frame(done)

"""The page of `ghostdepth check`: its pairs, its warnings, and that names are text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers import Dataset, open_dataset
from bench_depth.plausibility.data_checks import survey_frames
from bench_depth.plausibility.survey import DataSurvey
from ghostdepth_export.pages.check_page import histogram, write_page

EVIL = '<img src=x onerror="alert(1)">\u202e\udcff'


def checked(dataset: Dataset) -> tuple[Dataset, DataSurvey]:
    return dataset, survey_frames(dataset.frames, dataset.label)


def test_it_shows_pairs_distances_and_warnings_of_each_set(dataset: Path, tmp_path: Path) -> None:
    data = open_dataset(dataset)
    frame = data.frames[0]
    hostile = dataclasses.replace(data, label=EVIL, frames=[dataclasses.replace(frame, name=EVIL)])
    (_, survey) = metres = checked(hostile)
    survey.histogram[:] = 0
    survey.histogram[:4] = 10
    page = tmp_path / "page.html"
    write_page(page, EVIL, [metres, checked(data)])
    text = page.read_text()
    assert text.count("<img ") == 2 * (1 + len(data.frames)) == text.count('src="data:image/')
    assert "<img src=x" not in text and "\u202e" not in text
    assert text.count('class="notice"') == 1
    assert "depth-metres" in text and "multiply it by 1000" in text
    assert ">25.0 <small>%</small>" in text


@pytest.mark.parametrize("values", [{}, {1: 3}, {65535: 1}, {700: 5, 2000: 15}])
def test_any_distances_have_a_histogram(values: dict[int, int]) -> None:
    survey = DataSurvey()
    for value, count in values.items():
        survey.histogram[value] = count
    bars = histogram(survey, 340)
    assert "nan" not in bars and "inf" not in bars
    assert bars.count("<rect") == 40
    assert np.isclose(bars.count('height="0"'), 40 - len(values), atol=1)

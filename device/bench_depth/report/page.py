"""The page's text. Everything that comes from outside is escaped."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from bench_depth.accuracy.bands import Band
from bench_depth.core.files import write_bytes
from bench_depth.report import charts
from bench_depth.report.pictures import Picture
from bench_depth.report.wording import (
    BAND_HEADS,
    BAND_NOTE,
    KIND_HEADS,
    STAGE_HEADS,
    accuracy_notes,
    band_rows,
    board_name,
    cpu_facts,
    figure,
    kind_rows,
    notices,
    op_rows,
    predicted_notes,
    profile_views,
    runtime_text,
    stage_rows,
    summary,
    threads_text,
    turns_text,
)
from bench_depth.results.records import ModelRecord, Results, labels
from bench_depth.timing.profiling import Profile, by_kind

_MOST_OPS = 20


def write_page(results: Results, pictures: Mapping[int, Sequence[Picture]], target: Path) -> None:
    """Writes the page.

    Args:
        results: What was measured.
        pictures: Of some of its models, by their place in it.
        target: The file.

    Raises:
        UserError: It cannot be written.
    """
    write_bytes(target, render(results, pictures).encode())


def render(results: Results, pictures: Mapping[int, Sequence[Picture]]) -> str:
    """The whole page as HTML; see `write_page`."""
    names = labels(results)
    title = names[0] if len(names) == 1 else f"{len(names)} models compared"
    sections = [_head(results, title), _notices(results), _comparison(results, names)]
    for place, (name, record) in enumerate(zip(names, results.models)):
        sections.append(_model(name, record, results, pictures.get(place, ())))
    style = (resources.files("bench_depth") / "report" / "style.css").read_text()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: bench-depth</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _head(results: Results, title: str) -> str:
    context = results.context
    board = context.board
    before, after = results.models[0].before, results.models[-1].after
    heat = ""
    if before.temperature_c is not None and after.temperature_c is not None:
        heat = f"{before.temperature_c:.0f} -> {after.temperature_c:.0f} C"
    facts = {
        "board": board_name(board),
        "CPU": ", ".join(cpu_facts(board)),
        "system": f"{board.system}, {board.architecture}",
        "temperature": heat,
        "measured": f"{context.created} with {context.program}, Python {context.python}",
    }
    return f"<h1>{escape(title)}</h1>\n{_facts(facts)}"


def _facts(facts: Mapping[str, str]) -> str:
    rows = [f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v]
    return f"<dl>{''.join(rows)}</dl>\n"


def _notices(results: Results) -> str:
    return "".join(
        f'<p class="notice"><strong>{code}</strong>: {escape(advice)}</p>\n'
        for code, advice in notices(results)
    )


def _comparison(results: Results, names: Sequence[str]) -> str:
    parts = ["<h2>Models</h2>\n", _table(*summary(results))]
    for note in accuracy_notes(results):
        parts.append(f'<p class="soft">{escape(note)}</p>\n')
    for note in predicted_notes(results):
        parts.append(f'<p class="soft">{escape(note)}</p>\n')
    if any(record.comparison for record in results.models):
        chart = charts.intervals(names, [record.comparison for record in results.models])
        how = turns_text(results.context)
        parts.append(
            f"<h3>Time over that of {escape(names[0])}, measured {how}</h3>\n{_box(chart, 'chart')}"
        )
    return "".join(parts)


def _model(name: str, record: ModelRecord, results: Results, pictures: Sequence[Picture]) -> str:
    facts = {
        "runtime": f"{runtime_text(record)}, {threads_text(record, results.context)}",
        "file": f"{record.bytes / 1e6:.2f} MB, sha256 {record.sha256}",
        "takes, gives": f"{record.input} -> {record.output}",
        "load": f"{figure(record.load_ms)} ms, first run {figure(record.first_ms)} ms",
        "peak memory": f"{record.peak_rss_bytes / 1e6:.0f} MB",
    }
    parts = [f"<h2>{escape(name)}</h2>\n", _facts(facts), _table(STAGE_HEADS, stage_rows(record))]
    parts.append(f"<h3>Every run</h3>\n{_box(charts.timeline(record.invoke), 'chart')}")
    if record.sustained is not None:
        long = record.sustained
        text = f"Sustained: {100 * (long.slowdown - 1):+.1f} % from the first minute to the last"
        parts.append(f"<h3>{escape(text)}</h3>\n{_box(charts.curve(long), 'chart')}")
    if record.profile is not None:
        parts.append(_profile(record.profile))
    # Where measuring was interrupted there may be pictures of a part of the images.
    if record.accuracy is not None:
        parts += [_bands(record.accuracy.bands, results), _worst(pictures)]
    return "".join(parts)


def _profile(profile: Profile) -> str:
    parts = ["<h3>Where the time goes</h3>\n"]
    for text, view in profile_views(profile):
        parts.append(f'<p class="soft">{escape(text)}</p>\n{_kinds(view)}')
    return "".join([*parts, _table(*op_rows(profile, _MOST_OPS))])


def _kinds(profile: Profile) -> str:
    longest = max(group.share for group in by_kind(profile)) or 1.0
    bars = [f"{100 * group.share / longest:.1f}" for group in by_kind(profile)]
    rows = "".join(
        f'<tr><th scope="row">{escape(kind)}</th><td>{count}</td><td>{ms}</td><td>{share}</td>'
        f'<td class="bar"><i style="width:{bar}%"></i></td></tr>\n'
        for bar, (kind, count, ms, share) in zip(bars, kind_rows(profile))
    )
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in [*KIND_HEADS, ""])
    return _box(f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>")


def _bands(bands: Sequence[Band], results: Results) -> str:
    if not bands:
        return ""
    all_bands = itertools.chain(*(r.accuracy.bands for r in results.models if r.accuracy))
    chart = charts.distances(bands, max(band.rmse for band in all_bands))
    return (
        f"<h3>Error by true distance</h3>\n{_box(chart, 'chart')}"
        f"{_table(BAND_HEADS, band_rows(bands))}"
        f'<p class="soft">{escape(BAND_NOTE)}</p>\n'
    )


def _worst(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = [
        f'<figure><img src="{picture.jpeg}" alt="photo, truth, prediction and error of '
        f'{escape(picture.name)}"><figcaption>{escape(picture.name)}: si-RMSE '
        f"{picture.metrics.si_rmse:.3f}, RMSE {picture.metrics.rmse:.2f} m, delta_1 "
        f"{picture.metrics.delta_1:.2f}</figcaption></figure>\n"
        for picture in pictures
    ]
    return (
        f"<h3>The {len(pictures)} images with the highest si-RMSE</h3>\n"
        '<p class="soft">Photo and truth; below them prediction (bright is near) and error (blue: '
        "too near, red: too far, full colour from a factor of two; grey: unknown).</p>\n"
        f'<div class="worst">\n{"".join(figures)}</div>\n'
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>\n"
        for first, *rest in rows
    )
    return _box(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>")


def _box(content: str, kind: str = "") -> str:
    """A frame that scrolls by itself where the screen is narrow."""
    classes = f"box {kind}".strip()
    return f'<div class="{classes}" tabindex="0">{content}</div>\n'

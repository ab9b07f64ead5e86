"""One run of `bench-depth live`: connects the source, the model, the viewers and the recorder."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted
from bench_depth.depth.model import DepthModel
from bench_depth.depth.record import check_target, make_recorder
from bench_depth.depth.scale import Scale
from bench_depth.live.frames.meter import Meter
from bench_depth.live.mqtt import Broker, Publisher
from bench_depth.live.source.capture import Shot, in_order, newest
from bench_depth.live.source.sources import open_source
from bench_depth.live.web.server import ViewServer
from bench_depth.live.web.view import HealthWatch, View
from bench_depth.live.zones import Watch, make_watch
from bench_depth.machine.guard import HANG, OnTask
from bench_depth.model.description import Description
from bench_depth.model.released import default_model, read_catalogue
from bench_depth.plausibility.output_checks import OutputWatch
from bench_depth.report.fastest import default_reason

_WARM_UP_RUNS = 2

Sink = Callable[[Shot, NDArray[np.float32]], None]


@dataclass(frozen=True)
class LiveOptions:
    """Options of one run.

    Attributes:
        model: Path of the .tflite or .onnx file, or name of a released model; None for the most
            accurate released one here that holds 30 frames a second on a Raspberry Pi 4.
        source: Name of the image source, as `bench_depth.live.source.sources.open_source` takes it.
        description: Description of the model by the user, besides its file; None for none.
        runtime: Name in `bench_depth.model.runtimes.RUNTIMES`; None for the first installed one.
        threads: Number of threads of the runtime; None for one per core, at most 4.
        size: Width and height in pixels requested from a camera; None for the default.
        loop: Whether a video or folder restarts at its end.
        record: Folder or video file to record to; None for no recording.
        frames: Number of frames after which the run ends; None for no limit.
        host: Address that the page is served on; None for no page.
        port: TCP port that the page is served on; 0 for any free one.
        watch: Zones that are measured, and the alarm.
        broker: MQTT broker that frames are published to; None for none.
        smooth: Fraction of the previous frame's depth that each frame keeps, from 0 to below 1.
        sharpen: Whether the edges of the depth are moved to those of the image.
    """

    model: Union[str, Path, None]
    source: str
    description: Optional[Description]
    runtime: Optional[str]
    threads: Optional[int]
    size: Optional[tuple[int, int]]
    loop: bool
    record: Optional[Path]
    frames: Optional[int]
    host: Optional[str]
    port: int
    watch: Watch = field(default_factory=Watch)
    broker: Optional[Broker] = None
    smooth: float = 0.0
    sharpen: bool = False


def run(
    options: LiveOptions,
    stop: threading.Event,
    log: Callable[[str], None],
    on_open: Callable[[str], None],
    on_task: OnTask = lambda task, limit: None,
) -> list[str]:
    """Runs until `stop` is set, the requested number of frames is reached or the source ends.

    Args:
        options: Options of the run.
        stop: Event that ends the run; a signal handler or another thread may set it.
        log: Called with one line of progress text.
        on_open: Called with the page's URL once it is being served.
        on_task: Called before each task that a library may hang or crash in, see
            `bench_depth.machine.guard.guarded`.

    Returns:
        The codes of the warnings about the model and implausible depth.

    Raises:
        UserError: An option, the model, the source or a file is invalid. The source, the
            recording and the server are closed before it is raised.
    """
    meter = Meter()
    with contextlib.ExitStack() as stack:
        view = View(options.watch)
        server = None
        if options.host is not None:
            server = ViewServer(options.host, options.port, view)
            stack.callback(server.stop)
        if options.broker is not None:
            on_task(f"the MQTT host {options.broker.name}", HANG)
            publisher = Publisher(options.broker, view.frames, log)
            stack.callback(publisher.close)
        name = options.model or default_model()
        on_task(str(name), HANG)
        model = _open_model(name, options, log)
        view.hfov = model.hfov
        on_task(f"the source {options.source}", HANG)
        source = open_source(options.source, options.size, options.loop)
        what = f"{name} and the source {options.source}"
        on_task(what, None)
        model.on_run = lambda limit: on_task(what, limit)
        # Without viewers a recorded source need not keep up with real time: no frame is dropped.
        every = server is None and source.interval is not None
        shots = stack.enter_context(
            contextlib.closing(in_order(source, stop) if every else newest(source, stop))
        )
        outputs = OutputWatch(model.metric, log)
        info = {**model.describe(), "source": source.name, "camera": source.interval is None}
        log(_headline(info))
        if options.model is None:
            log(f"no model was named: {default_reason(read_catalogue())}")
        sinks: list[Sink] = [lambda shot, depth: outputs(shot.name, depth, shot.photo)]
        if options.record is not None:
            recorder = make_recorder(options.record, model.scale, source.interval, every)
            stack.callback(recorder.close)
            sinks.append(lambda shot, depth: recorder.write(shot.name, shot.photo, depth))
        if server is not None or options.broker is not None:
            sinks.append(_shown(view, info, model.scale, meter, stack))
        if server is not None:
            server.start()
            on_open(server.url)
        try:
            _loop(shots, model, meter, sinks, options.frames, timed=not every)
        except UserError as error:
            view.frames.close(error)
            raise
    log(meter.summary())
    return [*model.warnings, *outputs.codes]


def _open_model(
    name: Union[str, Path], options: LiveOptions, log: Callable[[str], None]
) -> DepthModel:
    """The model; zones, alarm and recording are refused here where its depth does not suit them."""
    model = DepthModel(
        name,
        options.runtime,
        options.threads,
        options.description,
        log,
        smooth=options.smooth,
        sharpen=options.sharpen,
    )
    make_watch(options.watch.zones, options.watch.alarm, model.scale.relative)
    if options.record is not None:
        check_target(options.record, model.scale)
    return model


def _loop(
    shots: Iterable[Shot],
    model: DepthModel,
    meter: Meter,
    sinks: Iterable[Sink],
    max_frames: Optional[int],
    timed: bool,
) -> None:
    for shot in shots:
        if not meter.frames:
            # The first runs of a runtime allocate and are several times slower than those after it.
            for _ in range(_WARM_UP_RUNS):
                model.follow(shot.photo)
                model.reset()
        # A file that is read as fast as the model runs has no times of capture.
        prediction = model.follow(shot.photo, shot.captured_ns if timed else None)
        latency_ns = time.perf_counter_ns() - shot.captured_ns
        times_ns = [shot.take_ns, *prediction.times_ns]
        meter.add([t / 1e6 for t in times_ns], latency_ns / 1e6, shot.dropped)
        for sink in sinks:
            sink(shot, prediction.depth)
        if meter.frames == max_frames:
            return


def _shown(
    view: View, info: dict[str, Any], scale: Scale, meter: Meter, stack: contextlib.ExitStack
) -> Sink:
    view.describe(info)
    health = HealthWatch()
    stack.callback(health.close)

    def show(shot: Shot, depth: NDArray[np.float32]) -> None:
        age = timedelta(microseconds=(time.perf_counter_ns() - shot.captured_ns) / 1000)
        captured = (datetime.now(timezone.utc) - age).isoformat(timespec="milliseconds")
        figures = {"name": shot.name, "time": captured, "health": health.now, **meter.now()}
        view.put(shot.photo, depth, scale, figures)

    return show


def _headline(info: dict[str, Any]) -> str:
    threads = counted(info["threads"], "thread")
    return f"{info['file']} on {info['source']}: {info['runtime']}, {threads}"

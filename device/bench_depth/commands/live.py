"""The command line of `bench-depth live`."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from bench_depth.commands.arguments import (
    RUNTIME_HELP,
    RUNTIMES,
    HelpFormatter,
    Parser,
)
from bench_depth.commands.flags import add_arguments, add_sharpen, add_smooth, from_arguments
from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError, exit_code, refuse_warnings
from bench_depth.core.screen import say
from bench_depth.model.released import default_model

if TYPE_CHECKING:
    from bench_depth.live.mqtt import Broker
    from bench_depth.live.zones import Watch
    from bench_depth.machine.guard import OnTask

LOOPBACK = "127.0.0.1"
PORT = 8080
_EPILOG = """\
The page shows photo and depth side by side, the distance under the pointer, and the frame rate.
Only this machine can open it; with --host 0.0.0.0 anyone with the printed URL can. Ctrl-C ends it.

exit codes: 0 ended by Ctrl-C, by --frames, or at the end of the recording; 2 invalid options or
input, or the camera stopped working; 3 the model cannot be loaded or run; 4 warnings
with --strict; 130 killed, because something in it did not end within 5 s of Ctrl-C
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: Command-line arguments after `live`.

    Returns:
        The exit code; argparse itself exits with 0 or 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    return exit_code("bench-depth", lambda: _run(options))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses and checks arguments as the command does; argparse itself exits with 0 or 2.

    Args:
        arguments: Command-line arguments after `live`.

    Raises:
        UserError: The value of an option is invalid, or two contradict each other.
    """
    from bench_depth.live.web.server import check_port

    options = _parser().parse_args(arguments)
    _check(options)
    check_port(options.port or PORT)
    _sensor(options)
    from_arguments(options)
    return options


def _run(options: argparse.Namespace) -> int:
    from bench_depth.machine.guard import GRACE, guarded

    _check(options)
    # In a child, which can be ended whatever a model, a camera's driver or a video's decoder does.
    # It prints its own errors.
    return guarded(lambda on_task: exit_code("bench-depth", lambda: _live(options, on_task)), GRACE)


def _live(options: argparse.Namespace, on_task: OnTask) -> int:
    with stopped_by_signals() as stop:
        from bench_depth.live.session import LiveOptions, run

        watch, broker = _sensor(options)
        codes = run(
            LiveOptions(
                model=options.model,
                source=options.source,
                description=from_arguments(options),
                runtime=options.runtime,
                threads=options.threads,
                size=options.size,
                loop=options.loop,
                record=options.record,
                frames=options.frames,
                host=None if options.no_server else options.host or LOOPBACK,
                port=PORT if options.port is None else options.port,
                watch=watch,
                broker=broker,
                smooth=options.smooth,
                sharpen=options.sharpen,
            ),
            stop,
            lambda line: say(line, error=True),
            lambda url: say(f"open {url}"),
            on_task,
        )
        refuse_warnings(codes, options.strict)
    return 0


def _sensor(options: argparse.Namespace) -> tuple[Watch, Optional[Broker]]:
    """Zones and alarm, and MQTT broker; in the child, for it needs numpy."""
    from bench_depth.live.mqtt import parse_broker
    from bench_depth.live.zones import make_watch, parse_zone

    watch = make_watch(map(parse_zone, options.zone), options.alarm)
    broker = None
    if options.mqtt is not None:
        broker = parse_broker(options.mqtt, options.mqtt_topic)
    return watch, broker


def _check(options: argparse.Namespace) -> None:
    require_bounds(threads=options.threads, frames=options.frames)
    if options.no_server and (options.host is not None or options.port is not None):
        raise UserError("--no-server serves no page: leave out --host and --port, or --no-server")
    if options.mqtt is None and options.mqtt_topic is not None:
        raise UserError("--mqtt-topic needs --mqtt HOST")
    if options.no_server and options.mqtt is None and (options.zone or options.alarm is not None):
        raise UserError(
            "with --no-server nothing tells of --zone and --alarm; add --mqtt HOST, or leave out "
            "--no-server"
        )


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and SIGHUP set; a second Ctrl-C interrupts immediately."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def handle(number: int, frame: object) -> None:
        stop.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A shell starts background jobs with SIGINT ignored; that is kept.
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, like 640x480")
    return int(found[1]), int(found[2])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="bench-depth live",
        description="Runs a depth model live on a camera, a video or images.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    add = parser.add_argument
    add("--model", metavar="NAME|FILE", help="a released model, or a .tflite or .onnx file "
        f"(default: {default_model()}; see `models`)")  # fmt: skip
    add(
        "--source",
        default="auto",
        metavar="S",
        help="auto (default: the Raspberry Pi camera, else the first other one), picamera2, N or "
        "/dev/videoN, a video file, an image, or a folder of images",
    )
    add("--size", type=_size, metavar="WxH", help="size requested from a camera (default: 640x480)")
    add("--loop", action="store_true", help="restart a video or folder at its end")
    add("--runtime", choices=RUNTIMES, metavar="NAME", help=RUNTIME_HELP)
    add(
        "--threads",
        type=int,
        metavar="N",
        help="number of threads (default: one per core, at most 4)",
    )
    add("--host", metavar="ADDRESS", help=f"address to serve the page on (default: {LOOPBACK})")
    add(
        "--port",
        type=int,
        metavar="N",
        help=f"TCP port of the page (default: {PORT}; 0 for any free one)",
    )
    add(
        "--no-server",
        action="store_true",
        help="serve no page; every frame of a video or folder is processed, in order",
    )
    add(
        "--record",
        type=Path,
        metavar="DIR|FILE",
        help="write each frame to DIR/rgb/NAME.jpg and DIR/depth/NAME.png (16-bit millimetres), "
        "or a video of both side by side to FILE.mp4 or FILE.avi",
    )
    add_smooth(parser)
    add_sharpen(parser)
    add("--frames", type=int, metavar="N", help="end after N frames")
    add("--strict", action="store_true", help="end with code 4 if there were warnings")
    _add_sensor(parser)
    add_arguments(parser)
    return parser


def _add_sensor(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "depth sensor", "What the page, /depth.json, /events and MQTT report of each frame."
    ).add_argument
    add(
        "--zone",
        action="append",
        default=[],
        metavar="NAME=x,y,w,h",
        help="a rectangle whose nearest and median distance are reported, in fractions of the "
        "picture from its upper left corner; up to 16, and more are drawn on the page",
    )
    add("--alarm", type=float, metavar="METRES", help="raise an alarm where a zone, or without "
        "zones the picture, has something nearer")  # fmt: skip
    add("--mqtt", metavar="HOST[:PORT]", help="publish each frame to this MQTT broker (port 1883); "
        "BENCH_DEPTH_MQTT_USER and BENCH_DEPTH_MQTT_PASSWORD log in")  # fmt: skip
    add("--mqtt-topic", metavar="TOPIC", help="topic (default: bench-depth/NAME-OF-THIS-MACHINE)")

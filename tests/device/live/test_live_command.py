from __future__ import annotations

import dataclasses
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from bench_depth.commands import live as live_command
from bench_depth.core.dataset import list_pairs, read_depth, read_pair, read_rgb
from bench_depth.core.errors import WARNED, UserError
from bench_depth.depth.model import DepthModel, Prediction
from bench_depth.live import session
from bench_depth.model.contract import ModelContract

from tests.device.conftest import HEIGHT, WIDTH, TfliteMaker, only_line, tiny_depth
from tests.device.live.live_helpers import (
    FakeSource,
    address_of,
    get,
    run,
    started,
    write_pictures,
    write_video,
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.avi", 8)


def test_every_frame_of_a_video_becomes_a_dataset(
    tiny_tflite: Path, video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run("--model", tiny_tflite, "--source", video, "--no-server", "--record", out)
    assert done.returncode == 0, done.stderr
    assert "8 frames" in done.stderr
    pairs = list_pairs(out)
    assert [pair.name for pair in pairs] == [f"{n:06d}" for n in range(8)]
    for pair in pairs:
        photo, depth = read_pair(pair)
        # The photo was compressed once more after the model saw it.
        assert np.median(np.abs(depth / 1000 - tiny_depth(photo[np.newaxis]))) < 0.03


def test_a_folder_keeps_its_names_and_exact_depth(tiny_tflite: Path, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", [100, 200])
    out = tmp_path / "out"
    assert not run(
        "--model", tiny_tflite, "--source", pictures, "--no-server", "--record", out
    ).returncode
    assert [pair.name for pair in list_pairs(out)] == ["p0", "p1"]
    assert np.unique(read_depth(out / "depth" / "p0.png")) == [1500]
    assert np.unique(read_depth(out / "depth" / "p1.png")) == [2500]


@pytest.mark.parametrize("name", ["out.avi", "out.mp4"])
def test_a_recorded_video_has_both_sides_the_scale_and_the_rate(
    tiny_tflite: Path, video: Path, tmp_path: Path, name: str
) -> None:
    done = run(
        "--model", tiny_tflite, "--source", video, "--no-server", "--record", tmp_path / name
    )
    assert done.returncode == 0, done.stderr
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    frame = capture.read()[1]
    assert frame.shape == (48, 128 + 76, 3)
    assert frame[5, 10] == pytest.approx([100] * 3, abs=12)  # The photo's left half.
    near, far = frame[5, 70], frame[5, 120]
    assert near.sum() > 1.3 * far.sum()  # The depth's.
    assert not list(tmp_path.glob(".*"))


def test_frames_ends_it(tiny_tflite: Path, video: Path) -> None:
    done = run("--model", tiny_tflite, "--source", video, "--loop", "--no-server", "--frames", 20)
    assert done.returncode == 0
    assert "20 frames" in done.stderr


@pytest.mark.parametrize("name", ["out", "out.avi"])
def test_a_truncated_video_leaves_a_whole_recording_of_what_was_there(
    tiny_tflite: Path, tmp_path: Path, name: str
) -> None:
    video = write_video(tmp_path / "v.avi", 60)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    out = tmp_path / name
    done = run("--model", tiny_tflite, "--source", video, "--no-server", "--record", out)
    assert "it is truncated or damaged" in only_line(done.stderr)
    assert done.returncode == 2
    frames = cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT)
    assert (len(list_pairs(out)) if out.is_dir() else frames) > 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "missing.tflite"], 2, "cannot read missing.tflite"),
        (["--model", "MODEL", "--source", "missing.mp4"], 2, "there is no source missing.mp4"),
        (["--model", "MODEL", "--source", "MODEL"], 2, "is not a readable video"),
        (["--model", "MODEL", "--source", "VIDEO", "--frames", "0"], 2, "--frames 0 is impossible"),
        (
            ["--model", "MODEL", "--source", "VIDEO", "--threads", "0"],
            2,
            "--threads 0 is impossible",
        ),
        (["--model", "MODEL", "--source", "VIDEO", "--size", "9x9"], 2, "--size applies"),
        (["--model", "MODEL", "--no-server", "--port", "0"], 2, "--no-server serves no page"),
        (["--no-server", "--alarm", "1"], 2, "nothing tells of --zone and --alarm; add --mqtt"),
        (["--mqtt-topic", "t"], 2, "--mqtt-topic needs --mqtt"),
        (["--zone", "a=0,0,1,1", "--zone=a=0,0,1,1", "--port", "0"], 2, "two zones are named a"),
        (["--hfov", "180"], 2, "a horizontal field of view of 180 degrees is impossible"),
        (["--mqtt", "localhost:0"], 2, "--mqtt localhost:0 is not HOST or HOST:PORT"),
        (["--model", "MODEL", "--source", "VIDEO", "--record", "PICTURES"], 2, "is not empty"),
        (["--model", "MODEL", "--source", "VIDEO", "--record", "VIDEO"], 2, "exists already"),
        (["--model", "MODEL", "--source", "VIDEO", "--record", "/proc/x"], 2, "cannot write /proc"),
        # At the start: the source is not opened.
        (["--model", "MODEL", "--source", "none", "--record", "BELOW"], 2, "out/rgb/NAME: "),
        (["--model", "MODEL", "--source", "none", "--record", "BELOW.avi"], 2, "x.avi: Not a"),
        (["--model", "MODEL", "--source", "VIDEO", "--port", "TAKEN"], 2, "is taken; give another"),
        (["--model", "CUT", "--source", "VIDEO", "--port", "0"], 3, "damaged or truncated"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line_and_an_exit_code(
    tiny_tflite: Path, video: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "cut.tflite").write_bytes(tiny_tflite.read_bytes()[:500])
    (tmp_path / "taken" / "rgb").mkdir(parents=True)
    (tmp_path / "taken" / "rgb" / "a.jpg").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {
            "MODEL": tiny_tflite,
            "VIDEO": video,
            "PICTURES": tmp_path / "taken",
            "CUT": tmp_path / "cut.tflite",
            "BELOW": tiny_tflite / "out",
            "BELOW.avi": tiny_tflite / "x.avi",
            "TAKEN": taken.getsockname()[1],
        }
        words = [str(names.get(argument, argument)) for argument in arguments]
        if not {"--port", "--no-server"} & set(words):
            words.append("--no-server")
        done = run(*words)
    assert message in only_line(done.stderr)
    assert done.returncode == code
    assert done.stdout == ""


def test_strict_ends_with_its_code_where_depth_is_implausible(
    tiny_tflite: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    words = ["--model", tiny_tflite, "--unit", "m", "--source", tmp_path]
    done = run(*words, "--no-server", "--strict")
    assert done.returncode == WARNED
    assert "--strict: there are warnings: output-constant" in only_line(done.stderr)


def test_a_size_that_is_none_is_a_usage_error(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, "--size", "640")
    assert done.returncode == 2
    assert "'640' is not WIDTHxHEIGHT, like 640x480" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("target", ["out", "out.avi"])
def test_a_signal_ends_it_with_whole_files(
    tiny_tflite: Path, video: Path, tmp_path: Path, number: signal.Signals, target: str
) -> None:
    out = tmp_path / target
    with started(
        *("--model", tiny_tflite, "--source", video, "--loop", "--port", 0, "--record", out)
    ) as process:
        assert get(address_of(process), "/frame")  # Recording has begun.
        time.sleep(1)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "frames" in err.splitlines()[-1]
    if out.is_dir():
        pairs = list_pairs(out)
        assert pairs
        for pair in pairs:
            read_pair(pair)
    else:
        assert cv2.VideoCapture(str(out)).read()[0]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_ctrl_c_stays_off_where_it_was_off(tiny_tflite: Path, video: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with live_command.stopped_by_signals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.is_set()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    # A shell's background job ignores the signal; Python then leaves it so.
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), live_command.stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    signal.signal(signal.SIGINT, own)


def test_the_contract_gives_the_range(
    make_tflite: TfliteMaker, contract: ModelContract, video: Path, tmp_path: Path
) -> None:
    model = make_tflite(tmp_path / "c.tflite", contract)
    with started("--model", model, "--source", video, "--loop", "--port", 0) as process:
        info = get(address_of(process), "/info").decode()
    assert '"range": [0.5, 3.05]' in info
    assert '"model": "tiny"' in info


def test_the_end_of_the_video_ends_the_page(tiny_tflite: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "short.avi", 3, fps=30)
    with started("--model", tiny_tflite, "--source", video, "--port", 0) as process:
        address_of(process)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_a_relative_model_is_shown_but_not_recorded_as_millimetres(
    tiny_tflite: Path, video: Path, tmp_path: Path
) -> None:
    words = ["--model", tiny_tflite, "--source", video, "--no-server"]
    words += ["--quantity", "inverse-depth", "--unit", "relative", "--record"]
    done = run(*words, tmp_path / "out")
    assert "the model gives relative depth" in only_line(done.stderr)
    assert done.returncode == 2
    assert run(*words, tmp_path / "out.avi").returncode == 0


def test_the_photo_of_a_recording_has_the_right_colours(tiny_tflite: Path, tmp_path: Path) -> None:
    photo = np.zeros((48, 64, 3), np.uint8)
    photo[..., 2] = 220  # Red to OpenCV.
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "red.png"), photo)
    out = tmp_path / "out"
    run("--model", tiny_tflite, "--source", tmp_path / "in", "--no-server", "--record", out)
    assert read_rgb(out / "rgb" / "red.jpg")[20, 20] == pytest.approx([220, 0, 0], abs=6)


def options_of(model: Path, host: str | None = None, port: int = 0) -> session.LiveOptions:
    return session.LiveOptions(
        model=model,
        source="0",
        description=None,
        runtime=None,
        threads=1,
        size=None,
        loop=False,
        record=None,
        frames=None,
        host=host,
        port=port,
    )


def test_a_camera_that_returns_is_served_at_the_same_address(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = [FakeSource(2, fails=UserError("unplugged")), FakeSource(3)]
    sources = iter(cameras)
    monkeypatch.setattr(session, "open_source", lambda *_: next(sources))
    urls: list[str] = []

    def live(port: int) -> list[str]:
        options = options_of(tiny_tflite, "127.0.0.1", port)
        return session.run(options, threading.Event(), lambda line: None, urls.append)

    with pytest.raises(UserError, match="unplugged"):
        live(0)
    live(urlsplit(urls[0]).port or 0)
    assert urls[0] == urls[1]
    assert all(camera.closed.is_set() for camera in cameras)


def test_the_slow_first_runs_of_a_runtime_are_in_no_figure(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0

    def predict(model: DepthModel, photo: np.ndarray) -> Prediction:
        nonlocal runs
        runs += 1
        ms = 1000 if runs <= 2 else 1
        return Prediction(np.ones((HEIGHT, WIDTH), np.float32), (0, ms * 1_000_000, 0))

    monkeypatch.setattr(DepthModel, "predict", predict)
    monkeypatch.setattr(session, "open_source", lambda *_: FakeSource(1, interval=0.1))
    lines: list[str] = []
    session.run(options_of(tiny_tflite), threading.Event(), lines.append, lambda url: None)
    assert "invoke 1.0," in lines[-1]


@pytest.mark.parametrize("named", [True, False])
def test_which_model_was_taken_is_said_below_the_headline_where_none_was_named(
    named: bool, tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "default_model", lambda: tiny_tflite)
    monkeypatch.setattr(session, "open_source", lambda *_: FakeSource(1, interval=0.1))
    options = dataclasses.replace(options_of(tiny_tflite), model=tiny_tflite if named else None)
    lines: list[str] = []
    session.run(options, threading.Event(), lines.append, lambda url: None)
    (headline,) = (i for i, text in enumerate(lines) if text.startswith(f"{tiny_tflite.name} on "))
    said = [i for i, text in enumerate(lines) if text.startswith("no model was named: ")]
    assert said == ([] if named else [headline + 1])


def test_a_source_that_does_not_exist_is_one_line_without_a_model_too(tmp_path: Path) -> None:
    done = run("--source", tmp_path / "nope.mp4", "--no-server")
    assert "there is no source" in only_line(done.stderr)

"""The installer of a bundle, on this machine."""

from __future__ import annotations

import fcntl
import platform
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ghostdepth_export.ship.bundle.manifest import seal

from tests.export.ship.bundle_pi import HERE, PYTHON, Pi, add_numpy, bundle_id, refusal


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "home of pi")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_bundle_is_installed(pi: Pi, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    bundle = pi.bundle("one", {"a b.tflite": "good", "b.tflite": "good", "ä'.onnx": "good"})
    done = pi.install(bundle, shell=shell)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    last = done.stdout.splitlines()[-1]
    assert last == f"installed {bundle_id(bundle)} at {pi.prefix}/current"
    assert pi.current() == "a b.tflite b.tflite ä'.onnx"
    assert (pi.home / "measured").read_text() == "a b.tflite ä'.onnx"
    assert {path.name for path in pi.prefix.iterdir()} == {".lock", "current", "envs", "versions"}


def test_a_new_model_alone_takes_the_packages_that_are_there(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    (env,) = (pi.prefix / "envs").iterdir()
    made = (env / ".complete").stat().st_mtime_ns
    done = pi.install(pi.bundle("two"))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (pi.prefix / "envs").iterdir()] == [env.name]
    assert (env / ".complete").stat().st_mtime_ns == made
    assert pi.current() == "two.tflite"


@pytest.mark.parametrize(
    ("system", "bundled", "kept"),
    [
        ("1.24.2", "1.26.4", True),
        ("2.2.4", "2.5.5", True),
        ("1.24.2", "2.5.5", False),
        ("1.19.5", "1.26.4", False),
    ],
)
def test_with_picamera2_the_environment_sees_the_systems_packages(
    pi: Pi, system: str, bundled: str, kept: bool
) -> None:
    bundle = pi.bundle("one")
    add_numpy(bundle, bundled)
    assert pi.install(bundle).returncode == 0
    pi.with_picamera2(system)
    # picamera2 may come later than the bundle: the same one is then installed anew.
    done = pi.install(bundle)
    assert done.returncode == 0, done.stderr
    assert (f"with numpy {system} of the system for picamera2" in done.stdout) == kept
    (env,) = (pi.prefix / "envs").iterdir()
    assert "include-system-site-packages = true" in (env / "pyvenv.cfg").read_text()
    assert (env / f"lib/python{PYTHON}/site-packages/numpy.py").exists() != kept
    assert pi.current() == "one.tflite"


def test_rollback_goes_back_and_forth(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    pi.install(pi.bundle("two", version="2.0"))
    done = pi.install(pi.prefix / "current", "--rollback")
    assert done.returncode == 0, done.stderr
    assert pi.current() == "one.tflite"
    assert pi.install(pi.home / "two", "--rollback").returncode == 0
    assert pi.current() == "two.tflite"


def test_rollback_without_a_version_before_is_refused(pi: Pi) -> None:
    bundle = pi.bundle("one")
    assert "nothing is installed" in refusal(pi.install(bundle, "--rollback"), 17)
    pi.install(bundle)
    assert "no version before" in refusal(pi.install(bundle, "--rollback"), 17)
    assert pi.current() == "one.tflite"


def test_a_version_that_no_longer_runs_is_not_rolled_back_to(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    pi.install(pi.bundle("two", version="2.0"))
    (pi.prefix / "previous" / "bench-depth").unlink()
    assert "does not run" in refusal(pi.install(pi.home / "two", "--rollback"), 15)
    assert pi.current() == "two.tflite"


def test_old_versions_and_their_packages_go(pi: Pi) -> None:
    for number in ("1", "2", "3"):
        assert pi.install(pi.bundle(number, version=number)).returncode == 0
    assert pi.ids() == {bundle_id(pi.home / "2"), bundle_id(pi.home / "3")}
    assert len(pi.envs()) == 2
    pi.install(pi.home / "3", "--rollback")
    assert pi.current() == "2.tflite"


def test_the_same_bundle_again_keeps_the_version_before(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    pi.install(pi.bundle("two"))
    assert pi.install(pi.home / "two").returncode == 0
    assert pi.install(pi.home / "two", "--rollback").returncode == 0
    assert pi.current() == "one.tflite"


def test_a_damaged_version_and_damaged_packages_are_made_anew(pi: Pi) -> None:
    bundle = pi.bundle("one")
    pi.install(bundle)
    (pi.prefix / "current/models/one.tflite").write_text("bits rot")
    (env,) = (pi.prefix / "envs").iterdir()
    (env / f"lib/python{PYTHON}/site-packages/bench_depth/commands/cli.py").unlink()
    assert pi.install(bundle).returncode == 0
    assert (pi.prefix / "current/models/one.tflite").read_text() == "good"
    assert pi.ids() == {bundle_id(bundle)}


def test_an_installed_model_does_not_change_with_the_bundle_it_came_from(pi: Pi) -> None:
    bundle = pi.bundle("one")
    pi.install(bundle)
    (bundle / "models/one.tflite").write_text("another")
    assert (pi.prefix / "current/models/one.tflite").read_text() == "good"


def test_a_bundle_inside_the_prefix_is_linked_not_copied(pi: Pi) -> None:
    bundle = pi.bundle("one", where=pi.prefix / "incoming")
    assert pi.install(bundle).returncode == 0
    files = [folder / "models/one.tflite" for folder in (bundle, pi.prefix / "current")]
    assert files[0].samefile(files[1])


def test_wrong_use_is_refused(pi: Pi, tmp_path: Path) -> None:
    bundle = pi.bundle("one")
    assert "unknown argument --frobnicate" in refusal(pi.install(bundle, "--frobnicate"), 2)
    assert "--prefix needs a folder" in refusal(pi.install(bundle, "--prefix"), 2)
    (bundle / "SHA256SUMS").unlink()
    assert "is no bundle" in refusal(pi.install(bundle), 2)
    assert not pi.prefix.exists()


def test_a_prefix_that_cannot_be_used_is_refused(pi: Pi) -> None:
    bundle = pi.bundle("one")
    below_a_file = str(bundle / "install" / "ghostdepth")
    assert "cannot write" in refusal(pi.install(bundle, "--prefix", below_a_file), 18)
    (pi.prefix / "versions").mkdir(parents=True)
    (pi.prefix / "current").mkdir()
    assert "not a link made by install" in refusal(pi.install(bundle), 18)


def test_a_folder_with_other_things_in_it_is_left_alone(pi: Pi) -> None:
    pi.prefix.mkdir()
    (pi.prefix / "README.md").touch()
    assert "holds other files" in refusal(pi.install(pi.bundle("one")), 18)
    assert [path.name for path in pi.prefix.iterdir()] == ["README.md"]


def test_another_machine_is_refused(pi: Pi) -> None:
    bundle = pi.bundle("one")
    pi.fake("uname", "echo armv7l")
    line = refusal(pi.install(bundle), 10)
    assert f"this machine is armv7l, the bundle is for {platform.machine()}" in line
    assert not pi.prefix.exists()


@pytest.mark.parametrize(
    ("says", "code", "expected"),
    [
        ("2.7 64", 11, f"Python here is 2.7, the bundle is for {PYTHON}"),
        (f"{PYTHON} 32", 10, "32-bit (on a 64-bit kernel)"),
        ("2.7 32", 10, "32-bit (on a 64-bit kernel)"),
        ("", 11, "there is no Python"),
    ],
)
def test_another_python_is_refused(pi: Pi, says: str, code: int, expected: str) -> None:
    bundle = pi.bundle("one")
    for name in (f"python{PYTHON}", "python3"):
        pi.fake(name, f"echo {says}" if says else "exit 127")
    assert expected in refusal(pi.install(bundle), code)
    assert not pi.prefix.exists()


def test_too_little_space_is_refused_before_anything_is_written(pi: Pi) -> None:
    bundle = pi.bundle("one")
    pi.fake("df", "echo Avail; echo 9000")
    line = refusal(pi.install(bundle), 12)
    assert "MB of disk space are needed" in line
    assert "8 MB are free" in line
    assert not pi.prefix.exists()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["models/one.tflite", "wheels/*.whl", "install", "manifest.json"])
def test_a_flipped_bit_is_found_and_named(pi: Pi, name: str) -> None:
    bundle = pi.bundle("one")
    file = next(bundle.glob(name))
    if name == "install":
        file.write_text(file.read_text() + "# a comment\n")
    else:
        damage(file)
    line = refusal(pi.install(bundle), 13)
    assert f"wrong checksum: {file.relative_to(bundle)}" in line
    assert not pi.prefix.exists()


def test_a_missing_file_is_named(pi: Pi) -> None:
    bundle = pi.bundle("one")
    (bundle / "models/one.tflite").unlink()
    assert "wrong checksum: models/one.tflite" in refusal(pi.install(bundle), 13)


@pytest.mark.parametrize("line", [0, 1, -2])
def test_a_list_of_checksums_that_lost_a_line_is_refused(pi: Pi, line: int) -> None:
    bundle = pi.bundle("one", {'a "b".tflite': "good", "ä'.tflite": "good"})
    sums = bundle / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    del lines[line]
    sums.write_text("".join(lines))
    assert "does not list the files" in refusal(pi.install(bundle), 13)
    assert not pi.prefix.exists()


def _upper(line: bytes) -> bytes:
    return line[:64].upper() + line[64:]


def _twice(line: bytes) -> bytes:
    return line + b"\n" + line


# What becomes of one line of the list.
ODD_LINES: dict[str, Callable[[bytes], bytes]] = {
    "carriage return": lambda line: line + b"\r",
    "binary": lambda line: line.replace(b"  ", b" *", 1),
    "one space": lambda line: line.replace(b"  ", b" ", 1),
    "tab": lambda line: line.replace(b"  ", b"\t", 1),
    "upper case": _upper,
    "twice": _twice,
    "BSD": lambda line: b"SHA256 (" + line[66:] + b") = " + line[:64],
    "escaped": lambda line: b"\\" + line,
    "byte order mark": lambda line: b"\xef\xbb\xbf" + line,
    "indented": lambda line: b" " + line,
    "space at the end": lambda line: line + b" ",
    "empty line before": lambda line: b"\n" + line,
    "comment before": lambda line: b"# sums\n" + line,
    "unpadded": lambda line: line[1:],
    "from here": lambda line: line.replace(b"  ", b"  ./", 1),
    "from above": lambda line: line.replace(b"  ", b"  ../one/", 1),
    "another file": lambda line: line[:66] + b"../../etc/passwd",
    "no name": lambda line: line[:66],
    "other digest": lambda line: b"0" * 64 + line[64:],
    "short digest": lambda line: line[24:],
}


@pytest.mark.parametrize("where", ["first", "manifest", "all"])
@pytest.mark.parametrize("odd", ODD_LINES)
def test_a_list_of_checksums_that_is_not_the_manifests_to_the_letter_is_refused(
    pi: Pi, odd: str, where: str
) -> None:
    bundle = pi.bundle("one")
    sums = bundle / "SHA256SUMS"
    lines = sums.read_bytes().splitlines()
    every = range(len(lines))
    chosen = {"first": every[:1], "manifest": every[-1:], "all": every}
    for index in chosen[where]:
        lines[index] = ODD_LINES[odd](lines[index])
    sums.write_bytes(b"".join(line + b"\n" for line in lines))
    assert "SHA256SUMS" in refusal(pi.install(bundle), 13)
    assert not pi.prefix.exists()


@pytest.mark.parametrize(
    "name", ['a "b" c', "$(touch x)", "`touch x`", "a\\b", "a:b", "a\nb", "b\n"]
)
def test_a_prefix_in_which_no_environment_works_is_refused_at_once(pi: Pi, name: str) -> None:
    prefix = pi.home / name
    line = refusal(pi.install(pi.bundle("one"), "--prefix", str(prefix)), 18)
    assert "choose another --prefix" in line
    assert not prefix.exists()


def test_a_prefix_with_other_odd_characters_is_installed_in(pi: Pi) -> None:
    prefix = pi.home / "it's *[ä] & 50%; #-x"
    done = pi.install(pi.bundle("one", {'a "b".tflite': "good"}), "--prefix", str(prefix))
    assert done.returncode == 0, done.stderr
    assert (prefix / 'current/models/a "b".tflite').is_file()


def test_packages_that_cannot_be_installed_leave_what_was_there(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    before = pi.envs()
    bundle = pi.bundle("two", version="2.0")
    (wheel,) = (bundle / "wheels").glob("bench_depth*.whl")
    # A wheel that is none, with the right checksum.
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("nothing.txt", "")
    seal(bundle, "test", HERE)
    assert "cannot install the Python packages" in refusal(pi.install(bundle), 14)
    assert pi.current() == "one.tflite"
    assert pi.envs() == before


def test_a_version_that_cannot_measure_is_never_current(pi: Pi) -> None:
    pi.install(pi.bundle("one"))
    bundle = pi.bundle("two", {"two.tflite": "good", "two.onnx": "broken"})
    line = refusal(pi.install(bundle), 15)
    assert "the new version does not run: bench-depth: two.onnx is broken" in line
    assert pi.current() == "one.tflite"
    assert pi.ids() == {bundle_id(pi.home / "one")}


def test_two_at_once_are_refused(pi: Pi) -> None:
    bundle = pi.bundle("one")
    (pi.prefix / "versions").mkdir(parents=True)
    with (pi.prefix / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another install is running" in refusal(pi.install(bundle), 16)
    assert pi.install(bundle).returncode == 0

"""Reading of regular files alone, and atomic writing: a final name never holds half a file."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Optional

from bench_depth.core.errors import UserError
from bench_depth.core.json_text import LARGEST, decode, dumps, loads
from bench_depth.core.screen import printable
from bench_depth.core.temporary import remove_left_overs_once, temporary_folder

# With `-int8.tflite` and the letters of a temporary file it stays below the 255 of file systems.
LONGEST_NAME = 200
_SHOWN = 80
# Begins the names of the temporary folders of `atomic_path`.
PARTIAL = ".partial-"

# No .tflite or .onnx file is larger: flatbuffers and protobuf end there.
LARGEST_READ = 2**31
_SPECIAL: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# Their files call themselves regular, and yet may wait for an event, never end, or act when read.
_KERNEL = ("/proc", "/sys", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/tracing")
# A program's own open files, which a shell may have made pipes, and what throws a result away.
_STREAM = re.compile(r"/dev/(?:null|stdout|stderr|fd/\d+)|/proc/self/fd/\d+")


def require_regular(path: Path) -> Path:
    """Returns `path`, which a library may then open by its name.

    Opening a pipe waits for its other end, a device may never end or act on being opened. Whatever
    is read for the user therefore passes this function or `open_regular`.

    Raises:
        UserError: It does not exist, is no regular file, or is a link that leads to neither.
    """
    try:
        _refuse_special(path, Path(path).stat())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return path


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading bytes; nothing else is opened, and nothing is waited for.

    Raises:
        UserError: As `require_regular`, or the file may not be read.
    """
    require_regular(path)
    try:
        # It may have been replaced since; then neither this call nor a read waits for anybody.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from error
    stream = os.fdopen(descriptor, "rb")
    try:
        _refuse_special(path, os.fstat(descriptor))
    except UserError:
        stream.close()
        raise
    return stream


def read_regular(path: Path, largest: Optional[int] = LARGEST_READ) -> bytes:
    """Reads a whole regular file.

    Args:
        path: The file.
        largest: Number of bytes above which it is refused; None for no limit.

    Raises:
        UserError: As `open_regular`, or the file is larger than `largest`.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if largest is not None and size > largest:
            raise UserError(f"{path} has {size} bytes; at most {largest} are read")
        try:
            return stream.read() or b""
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False where `Path.is_dir` raises.

    It does for a name that no file can have, and below a folder that may not be entered.
    """
    return os.path.isdir(path)  # noqa: PTH112


def unreadable_folder(error: OSError) -> UserError:
    """The error for a folder that the system refuses to list; `error` names the folder."""
    reason = error.strerror or error
    return UserError(f"cannot read the folder {error.filename}: {reason}; check its permissions")


def real_path(path: Path) -> Path:
    """`path` with all links followed, absolute; a link that leads in a circle stays as it is.

    `Path.resolve` raises there, before the caller that reads or writes the path can name it.
    """
    return Path(os.path.realpath(path))


def require_writable(target: Path) -> Path:
    """Returns `target`, the name of a file to be written; nothing is opened.

    Raises:
        UserError: It exists and is neither a regular file nor a stream like `/dev/stdout`, or no
            file can be made in its folder, or in the nearest one above that exists.
    """
    try:
        mode = Path(target).stat().st_mode
    except FileNotFoundError:
        return _require_folder(target)
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    if _STREAM.fullmatch(str(target)):
        return target
    if not stat.S_ISREG(mode):
        raise UserError(f"cannot write {target}: it is {_kind(mode)}; give the name of a file")
    return _require_folder(target)


def _require_folder(target: Path) -> Path:
    # A file is replaced, not written, so that its folder decides.
    folder = next(each for each in Path(target).absolute().parents if each.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"cannot write {target}: no file can be made in {folder}; check its permissions"
        )
    return target


def make_folder(folder: Path) -> Path:
    """Makes a folder where it is missing, and returns it.

    Raises:
        UserError: Its name or that of a parent is a file's, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"cannot write {folder}: it is no folder; choose another one") from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _refuse_special(path: Path, found: os.stat_result) -> None:
    regular = stat.S_ISREG(found.st_mode)
    if not regular or found.st_dev in _kernel_devices():
        kind = "a file of the kernel" if regular else _kind(found.st_mode)
        raise UserError(f"cannot read {path}: it is {kind}; give a regular file")


@functools.cache
def _kernel_devices() -> frozenset[int]:
    """Numbers of the file systems in `_KERNEL`; a folder where none is mounted is the root's."""
    numbers = set()
    for folder in _KERNEL:
        with contextlib.suppress(OSError):
            numbers.add(Path(folder).stat().st_dev)
    return frozenset(numbers - {Path("/").stat().st_dev})


def _kind(mode: int) -> str:
    return next((what for test, what in _SPECIAL if test(mode)), "something else")


def _unwritable(target: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(f"cannot write {target}: {reason}; check free space and permissions")


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError) and Path(path).is_symlink():
        reason = f"it is a link to {Path(path).readlink()}, which is missing"
    return UserError(f"cannot read {path}: {reason}")


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yields a path for a new file; renames it to `target` when the block succeeds.

    The path lies in a temporary folder beside `target`, which is locked as long as the process
    lives: the first time that a process writes into a folder it removes what killed ones left
    there. The data is flushed to the disk (fsync) before the rename, so that after a crash `target`
    is either the old file or the whole new one. A stream, `/dev/stdout` or `/dev/null`, cannot be
    replaced and is written directly.

    Raises:
        UserError: As `require_writable`, or the folder cannot be written or the disk is full; the
            temporary folder is removed.
    """
    target = Path(target)
    try:
        require_writable(target)
        if _STREAM.fullmatch(str(target)):
            yield target
            return
        folder = target.parent.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_overs_once(PARTIAL, folder)
        with temporary_folder(PARTIAL, folder) as outer:
            temporary = outer / target.name
            yield temporary
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def write_bytes(target: Path, data: bytes) -> None:
    """Writes `data` to `target` atomically, see `atomic_path`."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_json(target: Path, value: Any) -> None:
    """Writes `value` as indented JSON, see `json_text.dumps`.

    Raises:
        UserError: The file cannot be written.
    """
    write_bytes(target, (dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file within the limits of `json_text.loads`.

    Raises:
        UserError: The file is missing, unreadable, not JSON, or beyond a limit.
    """
    try:
        return loads(_read(path, LARGEST))
    except ValueError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        UserError: As `read_json`, or it holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object, {{...}}, but holds another value")
    return value


def read_text(path: Path, largest: int = 2**20) -> str:
    """Reads a text file, UTF-8.

    Args:
        path: The file.
        largest: Limit of its size, bytes.

    Raises:
        UserError: The file is missing, unreadable, too large or not UTF-8.
    """
    try:
        return decode(_read(path, largest), largest)
    except ValueError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def plain_name(text: Any, where: str) -> str:
    """Returns a name that comes from a file or another machine, and becomes a part of a path.

    Args:
        text: The name; anything may have been read.
        where: Place that the text comes from, the beginning of the error message.

    Raises:
        UserError: It is no plain file name: empty, of another type, longer than `LONGEST_NAME`
            bytes, with a slash, backslash or a character that cannot be seen, or with . or - at its
            beginning.
    """
    if not isinstance(text, str):
        raise UserError(f"{where} must be text, is {type(text).__name__}")
    plain = text.strip() == text != "" and printable(text) == text and text[0] not in ".-"
    if not plain or "/" in text or "\\" in text or len(text.encode()) > LONGEST_NAME:
        raise UserError(
            f"{where} is {_shown(text)}, which is no plain file name: 1 to {LONGEST_NAME} bytes "
            "without / and \\ and invisible characters, and not with . or - at its beginning"
        )
    return text


def require_utf8(name: str, where: str = "") -> None:
    """Refuses a name that no results file, page or CSV file holds, and not every library opens.

    Args:
        name: Name of a file, or its path.
        where: Follows the name in the message, like ` in FOLDER`.

    Raises:
        UserError: It is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the name {os.fsencode(name)!r}{where} is not UTF-8; rename the file"
        ) from None


def plain_path(text: Any, where: str) -> str:
    """Returns a relative path, each part of it a `plain_name`, so that it stays in its folder.

    Raises:
        UserError: As `plain_name`.
    """
    for part in text.split("/") if isinstance(text, str) else [text]:
        plain_name(part, f"{where} {_shown(text)}: a part")
    return str(text)


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _read(path: Path, largest: int) -> bytes:
    """At most one byte more than `largest`, so that the caller can check the size."""
    with open_regular(path) as stream:
        try:
            return stream.read(largest + 1)
        except OSError as error:
            raise _unreadable(path, error) from error

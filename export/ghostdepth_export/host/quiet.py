"""Holding back what native libraries print."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator

from bench_depth.core.compiled import native_stderr_into
from bench_depth.core.screen import printable, show


@contextlib.contextmanager
def native_quiet() -> Iterator[None]:
    """Holds back what C++ code writes to stderr; it is shown after all when the block fails.

    Some messages of TensorFlow and of the interpreters ignore log levels.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink:
        try:
            with native_stderr_into(sink.fileno()):
                yield
        except Exception:
            sink.seek(0)
            show(printable(sink.read().decode(errors="replace"), "\n\t"), error=True)
            raise

"""Holding back what native libraries print."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from bench_depth.core.screen import printable, show


@contextlib.contextmanager
def native_quiet() -> Iterator[None]:
    """Holds back what C++ code writes to stderr; it is shown after all when the block fails.

    Some messages of TensorFlow and of the interpreters ignore log levels.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            sink.seek(0)
            show(printable(sink.read().decode(errors="replace"), "\n\t"), error=True)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

"""TensorFlow, imported without its banners.

Import this module only where TensorFlow is needed: it takes seconds.
"""

from __future__ import annotations

import os

from ghostdepth_export.host.quiet import native_quiet

# TensorFlow's C++ code logs notes on the CPU and the conversion; none is about the user's model.
# Level 3 keeps fatal messages; errors are also raised as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with native_quiet():
    import tensorflow as tf

    # The first listing of devices logs that there is no GPU.
    tf.config.list_physical_devices()

__all__ = ["tf"]

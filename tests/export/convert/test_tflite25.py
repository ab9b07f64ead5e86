"""The exported files in the real TensorFlow Lite 2.5."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from ghostdepth_export.convert.source import ExportSource

RUN = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter

folder, names = sys.argv[1], sys.argv[2:]
images = np.load(folder + "/images.npy")
for name in names:
    interpreter = Interpreter(folder + "/" + name, num_threads=1)
    interpreter.allocate_tensors()
    (first,), (last,) = interpreter.get_input_details(), interpreter.get_output_details()
    depths = []
    for image in images:
        interpreter.set_tensor(first["index"], image.astype(first["dtype"]))
        interpreter.invoke()
        depths.append(interpreter.get_tensor(last["index"]))
    np.save(folder + "/" + name + ".npy", np.stack(depths))
"""


@pytest.mark.slow
def test_all_tflite_files_run_in_2_5_and_give_what_torch_gives(
    tflite25_python: Path, exported: Path, source: ExportSource, tmp_path: Path
) -> None:
    variants = ("fp32", "fp16", "dynamic", "int8")
    images = source.calibration_images()
    np.save(tmp_path / "images.npy", np.stack(images))
    for variant in variants:
        (tmp_path / variant).write_bytes((exported / f"toy-{variant}.tflite").read_bytes())
    subprocess.run([tflite25_python, "-c", RUN, tmp_path, *variants], check=True)
    want = np.stack([source.predict(image) for image in images])
    least_db = {"fp32": 100, "fp16": 50, "dynamic": 35, "int8": 25}
    for variant in variants:
        got = np.load(tmp_path / f"{variant}.npy").reshape(want.shape)
        assert 10 * np.log10(np.sum(want**2) / np.sum((got - want) ** 2)) >= least_db[variant]
        if variant == "fp32":
            np.testing.assert_allclose(got, want, rtol=1e-4)

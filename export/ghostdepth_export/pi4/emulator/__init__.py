"""An emulated Raspberry Pi 4 on any Linux machine: Debian for arm64 under QEMU, without root."""

from ghostdepth_export.pi4.emulator.layer import bench_layer
from ghostdepth_export.pi4.emulator.machine import Machine
from ghostdepth_export.pi4.emulator.roots import RECIPES, Recipe, build_root

__all__ = ["RECIPES", "Machine", "Recipe", "bench_layer", "build_root"]

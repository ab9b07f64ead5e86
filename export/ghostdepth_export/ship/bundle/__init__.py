"""Everything a Raspberry Pi needs to measure models, in one folder that installs offline."""

from ghostdepth_export.ship.bundle.build import build_bundle
from ghostdepth_export.ship.bundle.manifest import read_manifest
from ghostdepth_export.ship.bundle.targets import TARGETS, Target, find_target

__all__ = ["TARGETS", "Target", "build_bundle", "find_target", "read_manifest"]

"""The options of a deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ghostdepth_export.ship.deploy.ssh.hosts import SshSettings


@dataclass(frozen=True)
class DeployOptions:
    """How to deploy.

    Attributes:
        models: .tflite and .onnx files.
        target: A key of `bundle.TARGETS`; None to choose by the Pi's Python.
        samples: A dataset folder that goes along and that accuracy is measured on; None for none.
        prefix: Folder on the Pi; a relative one starts at its home folder.
        settings: Settings of the ssh connections.
        results: Folder for HOST/results.json.
        bench: Further options of bench-depth.
    """

    models: list[Path]
    target: str | None = None
    samples: Path | None = None
    prefix: str = "ghostdepth"
    settings: SshSettings = field(default_factory=SshSettings)
    results: Path = Path("runs/deploy")
    bench: tuple[str, ...] = ()

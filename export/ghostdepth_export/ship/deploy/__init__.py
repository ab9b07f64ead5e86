"""Brings models to Raspberry Pis over ssh and measures them there."""

from ghostdepth_export.ship.deploy.fleet import deploy, dry_run, roll_back
from ghostdepth_export.ship.deploy.options import DeployOptions
from ghostdepth_export.ship.deploy.ssh.hosts import SshSettings

__all__ = ["DeployOptions", "SshSettings", "deploy", "dry_run", "roll_back"]

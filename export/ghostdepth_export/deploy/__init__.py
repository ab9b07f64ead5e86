"""Brings models to Raspberry Pis over ssh and measures them there."""

from ghostdepth_export.deploy.fleet import deploy, dry_run, roll_back
from ghostdepth_export.deploy.hosts import SshSettings
from ghostdepth_export.deploy.options import DeployOptions

__all__ = ["DeployOptions", "SshSettings", "deploy", "dry_run", "roll_back"]

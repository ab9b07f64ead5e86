"""The `ghostdepth` command. Each verb imports what it needs when it runs."""

# The order is that of the help.
# ruff: isort: off
from ghostdepth_export.cli.app import app, main
from ghostdepth_export.cli import (
    network,
    compress,
    sensitivity,
    search,
    files,
    bundle,
    deploy,
    pi,
    count,
    predict,
)

__all__ = [
    "app",
    "bundle",
    "compress",
    "count",
    "deploy",
    "files",
    "main",
    "network",
    "pi",
    "predict",
    "search",
    "sensitivity",
]

"""The `ghostdepth` command. Each verb imports what it needs when it runs."""

# The order is that of the help.
# ruff: isort: off
from ghostdepth.commands.app import app, main
from ghostdepth.commands import (
    network,
    pretrain,
    compress,
    sensitivity,
    search,
    files,
    deploy,
    pi,
    count,
    latency,
    depth,
)

__all__ = [
    "app",
    "compress",
    "count",
    "deploy",
    "depth",
    "files",
    "latency",
    "main",
    "network",
    "pi",
    "pretrain",
    "search",
    "sensitivity",
]

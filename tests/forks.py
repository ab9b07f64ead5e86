"""Work in a fork of the tests' process: importing torch takes longer than most of what runs here.

A fork has the environment, the patches and the number of threads of the test that starts it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import cv2
import torch
from ghostdepth.commands import main


def start(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Starts a function in a fork of this process."""
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_one_thread, args=(work, *arguments))
    process.start()
    return process


def _one_thread(work: Callable[..., object], *arguments: object) -> None:
    # Threads that the tests' process has started are not there, and waiting for them has no end.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    work(*arguments)


def _ghostdepth(*words: object) -> None:
    sys.argv = ["ghostdepth", *map(str, words)]
    main()


def run(*words: object) -> None:
    """Runs a `ghostdepth` command, which must succeed."""
    process = start(_ghostdepth, *words)
    process.join()
    assert process.exitcode == 0


def kill(*words: object, once: Callable[[], bool]) -> None:
    """Starts a `ghostdepth` command, and kills it by SIGKILL as soon as `once` is true."""
    process = start(_ghostdepth, *words)
    while not once():
        assert process.is_alive(), "the run ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL

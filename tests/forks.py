"""`ghostdepth` in a fork of the tests' process: importing torch takes longer than most runs here.

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


def _start(words: tuple[object, ...]) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_main, args=words)
    process.start()
    return process


def _main(*words: object) -> None:
    # Threads that the tests' process has started are not there, and waiting for them has no end.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    sys.argv = ["ghostdepth", *map(str, words)]
    main()


def run(*words: object) -> None:
    """Runs a command, which must succeed."""
    process = _start(words)
    process.join()
    assert process.exitcode == 0


def kill(*words: object, once: Callable[[], bool]) -> None:
    """Starts a command, and kills it by SIGKILL as soon as `once` is true."""
    process = _start(words)
    while not once():
        assert process.is_alive(), "the run ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL

"""One worker of a search as a process of its own: `search_worker.py STUDY TRIALS OUT [hang]`.

Time and accuracy are formulas. With `hang` the first training tells its folder and never ends.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ghostdepth_export.search import SearchSpace, StudyPlan, Worker, open_study
from ghostdepth_export.search.study import study_url
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget

HEARTBEAT = (1, 4)
SPACE = SearchSpace(
    sizes=((32, 32), (64, 64)),
    shallow=(0.1, 0.2, 0.3),
    deep=(0.05, 0.1, 0.2),
    levels=(1, 2),
    decoder=(0.25, 0.5),
)


def plan(ms: float = 1.0) -> StudyPlan:
    return StudyPlan(SPACE, LatencyBudget(ms=ms), load_train_config("tiny"), "formulas")


def cost(network: DepthNet) -> float:
    return sum(row.macs for row in layer_costs(network)) / 1e6


def error(config: TrainConfig) -> float:
    """Better with more pixels, and with more weights."""
    network = DepthNet(config.network)
    weights = sum(p.numel() for p in network.parameters())
    return 1 / config.network.input_height + 1000 / weights


def main(study: str, trials: str, out: str, *hang: str) -> None:
    def train(config: TrainConfig, folder: Path) -> float:
        if hang:
            print(folder.name, flush=True)
            time.sleep(600)
        time.sleep(0.2)
        return error(config)

    opened = open_study(study_url(Path(study)), plan(), HEARTBEAT)
    Worker(opened, plan(), cost, train, Path(out), poll=0.2).run(int(trials))


if __name__ == "__main__":
    main(*sys.argv[1:])

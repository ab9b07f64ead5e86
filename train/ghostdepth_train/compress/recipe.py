"""Recipes: methods applied in order, each step in a folder of its own, resumed where they stopped.

`OUT/recipe.json` holds the recipe with every default, `OUT/1-prune/result` is the checkpoint after
the first step, and so on; `OUT/result` is the final one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.core.files import plain_name, read_object, write_json
from bench_depth.core.jsonable import build_from

from ghostdepth_train.checkpoint import (
    METRICS,
    Checkpoint,
    Validation,
    load_checkpoint,
    save_checkpoint,
)
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.compress.methods import compress, method_config
from ghostdepth_train.compress.prune import PruneConfig
from ghostdepth_train.config import refuse_stream, require_encoder
from ghostdepth_train.config.settings import with_settings
from ghostdepth_train.data import listing_sha256
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget
from ghostdepth_train.run_folder import run_folder
from ghostdepth_train.yaml_files import read_yaml, yaml_names

ELAPSED = "elapsed.json"
Recipe = tuple[Method, ...]
RECIPES = resources.files("ghostdepth_train") / "compress" / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    return yaml_names(RECIPES)


def load_recipe(
    name: str,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    epochs: int | None = None,
) -> Recipe:
    """Reads a recipe by name or path.

    Args:
        name: One of `recipe_names()`, or the path of a YAML file: a list of steps.
        seed: Seed of every step; None keeps each step's own.
        settings: Values by dotted key that override the recipe's; the key begins with the method
            whose steps are meant: `distil.training.learning_rate`.
        epochs: Epochs of every training; None keeps each step's own.

    Raises:
        UserError: The recipe does not exist, is not YAML, names an unknown method, or has an
            invalid field; or a setting is of no step.
    """
    steps = read_yaml("recipe", name, RECIPES)
    if not isinstance(steps, list) or not steps:
        raise UserError(f"recipe {name} is not a list of steps, each with its method")
    if seed is not None:
        steps = [{**step, "seed": seed} if isinstance(step, dict) else step for step in steps]
    settings = settings or {}
    places = [f"recipe {name}, step {index}" for index in range(1, len(steps) + 1)]
    configs = [method_config(step, where) for step, where in zip(steps, places, strict=True)]
    _require_steps(settings, configs)
    recipe = []
    for step, where, config in zip(steps, places, configs, strict=True):
        method = f"{config.method}."
        own = {k.removeprefix(method): v for k, v in settings.items() if k.startswith(method)}
        if epochs is not None and getattr(config, "training", None) is not None:
            own = {"training.epochs": epochs} | own
        changed = with_settings(step, own, type(config), method)
        recipe.append(method_config(changed, where))
    return tuple(recipe)


def _require_steps(settings: Mapping[str, Any], recipe: Sequence[Method]) -> None:
    """Refuses settings that are of no step of the recipe."""
    methods = sorted({config.method for config in recipe})
    for key in settings:
        method, _, rest = key.partition(".")
        if method not in methods or not rest:
            hint = did_you_mean(method, methods, f"it has: {', '.join(methods)}")
            raise UserError(f"--set {key}: write METHOD.KEY with a method of the recipe{hint}")


def with_budget(recipe: Recipe, budget: LatencyBudget, name: str) -> Recipe:
    """The recipe with a latency budget as the target of its only prune step.

    Args:
        recipe: Steps, as `load_recipe` returns them.
        budget: Replaces the step's own target.
        name: Name of the recipe, for messages.

    Raises:
        UserError: The recipe has no prune step, or several.
    """
    prunings = sum(isinstance(step, PruneConfig) for step in recipe)
    if prunings != 1:
        raise UserError(
            f"recipe {name} has {prunings or 'no'} prune step{'s' * (prunings > 1)}; a target in "
            "milliseconds needs one"
        )
    return tuple(
        step.with_budget(budget) if isinstance(step, PruneConfig) else step for step in recipe
    )


def run_recipe(checkpoint_folder: Path, recipe: Sequence[Method], work: Work) -> Path:
    """Runs the steps that are not complete yet.

    Args:
        checkpoint_folder: Initial checkpoint.
        recipe: Steps, in order.
        work: Data, callbacks and, as `work.out`, the folder of the whole run.

    Returns:
        Folder of the final checkpoint.

    Raises:
        UserError: A step fails, the folder holds another run, or another process works in it.
    """
    start = load_checkpoint(checkpoint_folder)
    refuse_stream(start.config, "compress")
    name = f"{start.name}-{'-'.join(config.method for config in recipe)}"
    plain_name(name, "the name of the result, that of the checkpoint with the steps,")
    work = dataclasses.replace(work, training_data=work.training_data or start.training_data)
    with run_folder(work.out, "ghostdepth compress"):
        return _run(start, recipe, work, name)


def _run(start: Checkpoint, recipe: Sequence[Method], work: Work, name: str) -> Path:
    _open(start, recipe, work)
    work.on_start()
    current, steps = start, list[dict[str, Any]]()
    for index, config in enumerate(recipe, 1):
        folder = work.out / f"{index}-{config.method}"
        result = folder / "result"
        if not (result / METRICS).is_file():
            work.log(f"step {index} of {len(recipe)}: {config.method}")
            elapsed = _ElapsedTime(folder, work)
            own = dataclasses.replace(work, out=folder, on_epoch=elapsed.on_epoch)
            compressed = compress(current, config, own)
            _save(result, current, compressed, own, elapsed.seconds(), steps)
        current = load_checkpoint(result)
        steps.append(_last_step(current.metrics, result / METRICS))
        work.log(_line(config.method, steps[-1]))
    final = work.out / "result"
    save_checkpoint(
        final,
        current.network,
        name=name,
        training_data=work.training_data,
        metrics=current.metrics,
        ranges=current.ranges,
    )
    return final


@dataclasses.dataclass(frozen=True)
class _Step:
    """What a step's line shows."""

    parameters: int
    macs: int
    validation: Validation


@dataclasses.dataclass(frozen=True)
class _Steps:
    """What `metrics.json` of a step holds beside its validation."""

    steps: list[_Step]


def _last_step(metrics: dict[str, Any], path: Path) -> dict[str, Any]:
    """The figures of the step that wrote `metrics`, a file that may have been changed since."""
    if not build_from(_Steps, metrics, path).steps:
        raise UserError(f"{path} is damaged: steps is empty; remove {path.parent} and resume")
    return dict(metrics["steps"][-1])


@dataclasses.dataclass(frozen=True)
class _Elapsed:
    """What `elapsed.json` holds."""

    seconds: float = 0.0


class _ElapsedTime:
    """Duration of a step, summed over all its starts and saved with every epoch.

    What an interrupted start did after its last complete epoch is repeated and not counted.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        self._path, self._on_epoch = folder / ELAPSED, work.on_epoch
        saved = read_object(self._path) if self._path.is_file() else {}
        self._before = build_from(_Elapsed, saved, self._path).seconds
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Seconds until now."""
        return float(self._before + time.monotonic() - self._started)

    def on_epoch(self, row: dict[str, float]) -> None:
        """Saves the duration when the epoch can be resumed from."""
        write_json(self._path, {"seconds": round(self.seconds(), 1)})
        self._on_epoch(row)


def _open(start: Checkpoint, recipe: Sequence[Method], work: Work) -> None:
    """Writes `recipe.json`, or checks that the one in the folder describes the same run."""
    path = work.out / "recipe.json"
    resolved = {
        "checkpoint_sha256": start.sha256,
        "train_pairs": len(work.split.train),
        "data": listing_sha256(work.split),
        "steps": [config.model_dump(mode="json") for config in recipe],
    }
    if path.is_file():
        if not work.resume:
            raise UserError(
                f"{work.out} already holds a run; add --resume to continue it, "
                "or choose another --out"
            )
        # Parsed, so that former spellings and fields that were added since are equal.
        before = {"data": resolved["data"]} | read_object(path)
        found = before.get("steps")
        found = found if isinstance(found, list) else []
        steps = [method_config(step, str(path)) for step in found]
        if steps != list(recipe) or before | {"steps": resolved["steps"]} != resolved:
            raise UserError(
                f"{path} is of another recipe, checkpoint or dataset; choose another --out"
            )
    else:
        for index, config in enumerate(recipe):
            require_encoder(start.config, config.method, *config.encoders)
            config.check(None if index else start, work)
    write_json(path, resolved)


def _save(
    folder: Path,
    before: Checkpoint,
    compressed: Compressed,
    work: Work,
    seconds: float,
    earlier: list[dict[str, Any]],
) -> None:
    network = compressed.network
    accuracy = evaluate(network, work.split.val).to_dict()
    costs = layer_costs(network)
    step = {
        "method": work.out.name.partition("-")[2],
        "parameters": sum(row.parameters for row in costs),
        "nonzero": sum(int(p.count_nonzero()) for p in network.parameters()),
        "macs": sum(row.macs for row in costs),
        "seconds": round(seconds, 1),
        "validation": accuracy,
        "notes": dict(compressed.notes),
    }
    save_checkpoint(
        folder,
        network,
        name=before.name,
        training_data=work.training_data,
        metrics={
            "validation": accuracy,
            "validation_images": len(work.split.val),
            "steps": [*earlier, step],
        },
        ranges=compressed.ranges,
    )


def _line(method: str, step: dict[str, Any]) -> str:
    accuracy = step["validation"]
    return (
        f"{method}: {step['parameters'] / 1e6:.2f} M parameters, {step['macs'] / 1e6:.1f} MMACs, "
        f"si-RMSE {accuracy['si_rmse']:.4f}, RMSE {accuracy['rmse']:.3f} m, "
        f"delta_1 {accuracy['delta_1']:.3f}"
    )

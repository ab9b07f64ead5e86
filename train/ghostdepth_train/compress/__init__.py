"""Compression: makes a checkpoint's network smaller or faster.

Each method is a module with a config class and `apply`; `methods.METHODS` lists them. A recipe is a
list of such configs, applied in order.

    compress(checkpoint, PruneConfig(macs=0.5), work)
"""

from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.compress.methods import compress
from ghostdepth_train.compress.recipe import (
    Recipe,
    load_recipe,
    recipe_names,
    run_recipe,
    with_budget,
)

__all__ = [
    "Compressed",
    "Method",
    "Recipe",
    "Work",
    "compress",
    "load_recipe",
    "recipe_names",
    "run_recipe",
    "with_budget",
]

"""Compression: a checkpoint in, a smaller or faster one out.

Each method is a module with a config class and `apply`; a recipe is a list of such configs, run one
after the other.

    compress(checkpoint, PruneConfig(macs=0.5), work)
"""

from ghostdepth_train.compress.method import Compressed, Method, Work, compress
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

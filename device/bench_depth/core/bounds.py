"""Bounds of the numbers that a user gives: an option of a command, an argument of a function."""

from __future__ import annotations

from typing import Optional

from bench_depth.core.errors import UserError

# Name of the option -> smallest value, largest one, unit. Beyond these a command would not end, or
# a library would crash. NaN lies within none of them.
BOUNDS: dict[str, tuple[float, float, str]] = {
    # From slower than idle to faster than any overclocking of a Raspberry Pi.
    "clock": (300, 3200, "MHz"),
    "cooldown-to": (-50, 150, "degrees Celsius"),
    "data-limit": (1, 10**9, "photos"),
    "epochs": (1, 100_000, "epochs"),
    "focal": (1, 1e6, "pixels"),
    "frames": (1, 10**9, "frames"),
    "hfov": (0.1, 179.9, "degrees"),
    "min-runs": (1, 10**6, "runs"),
    "min-time": (0, 86400, "seconds"),
    "minutes": (0, 525600, "minutes"),
    "patience": (1, 10**9, "evaluations"),
    "pictures": (1, 10**6, "pictures"),
    "profile": (0, 3600, "seconds"),
    "range": (-1e9, 1e9, "metres"),
    "sustain": (0, 7 * 1440, "minutes"),
    "threads": (1, 256, ""),
    "top": (1, 10**6, "ops"),
    "trials": (1, 10**6, "trials"),
    "warmup": (0, 10**6, "runs"),
    # More processes would end the machine before the training.
    "workers": (0, 256, "processes"),
}
_SHOWN = 24


def within(name: str, value: float) -> bool:
    """Whether a number lies in the bounds of the option `name`; NaN does not."""
    least, most, _ = BOUNDS[name]
    return least <= value <= most


def bounds_of(name: str) -> str:
    """The bounds of an option in words, like `1 to 256 runs`."""
    least, most, unit = BOUNDS[name]
    return f"{least:.12g} to {most:.12g} {unit}".rstrip()


def require_bounds(**numbers: Optional[float]) -> None:
    """Checks numbers against `BOUNDS`.

    Args:
        numbers: Each under the name of its option, with `_` for `-`; None for one that is not
            given.

    Raises:
        UserError: One is out of its bounds, or not a number.
    """
    for argument, value in numbers.items():
        name = argument.replace("_", "-")
        if value is not None and not within(name, value):
            # The text of an integer may have thousands of digits.
            shown = str(value)[:_SHOWN]
            raise UserError(f"--{name} {shown} is impossible; give {bounds_of(name)}")

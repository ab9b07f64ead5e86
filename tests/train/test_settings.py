"""Settings of the command line: what they change, and that every mistake is a line."""

from __future__ import annotations

import random

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_train.config import load_train_config
from ghostdepth_train.config.settings import parse_settings


def test_settings_reach_every_level() -> None:
    texts = [
        "learning_rate=1e-3",
        "augment.flip=0",
        "network.decoder.widths=[32, 16]",
        "network.depth_encoding=inverse",
        "network.encoder.width_multiplier=1.0",
        "epochs=3",
        "epochs=4",
    ]
    config = load_train_config("tiny", {"seed": 7}, parse_settings(texts))
    assert (config.learning_rate, config.augment.flip, config.epochs, config.seed) == (
        1e-3,
        0,
        4,
        7,
    )
    assert config.network.decoder.widths == (32, 16)
    assert config.network.depth_encoding == "inverse"
    assert config.network.encoder.stem == 16  # type: ignore[union-attr]
    # The others stay as they are.
    assert config.loss == load_train_config("tiny").loss


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("learning_rte=1", "did you mean learning_rate"),
        ("network.decoder.width=[8]", "did you mean network.decoder.widths"),
        ("augment.hue=1", "known are blur, colour, flip, grey, near, noise, tilt, widen, zoom"),
        ("epochs.more=1", "epochs is one value"),
        ("epochs", "write KEY=VALUE"),
        ("=1", "write KEY=VALUE"),
        ("epochs=[", "is not a YAML value"),
        ("epochs=many", "epochs: "),
        ("network.encoder.kind=resnet", "kind must be one of"),
    ],
)
def test_a_mistake_names_the_setting(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_train_config("tiny", None, parse_settings([text]))


def test_any_text_is_a_config_or_a_line() -> None:
    rng = random.Random(0)
    words = ["epochs", "network", "encoder", "stages", "augment", "flip", "", "0", "é", "kind"]
    values = ["1", "", "null", "[1,", "{a: 1}", "!!python/name:os.system", "'", "1e999", "x: y: z"]
    for _ in range(300):
        key = ".".join(rng.choices(words, k=rng.randint(1, 4)))
        try:
            load_train_config("tiny", None, parse_settings([f"{key}={rng.choice(values)}"]))
        except UserError as error:
            assert "\n" not in str(error)

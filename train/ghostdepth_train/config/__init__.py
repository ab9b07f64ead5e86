"""Everything that can be set, as plain numbers that survive a round trip through JSON.

A named config is a YAML file in `configs/`. There one may write the encoder as
`{width_multiplier: 1.0, se: true}`; it is expanded to explicit layer widths when it is read, so
that a checkpoint's `config.json` always spells every width out and a pruned network is just
another config.
"""

from ghostdepth_train.config.blocks import AttentionConfig, StreamConfig
from ghostdepth_train.config.encoder import (
    ENCODERS,
    BlockConfig,
    EncoderConfig,
    LiteBlockConfig,
    LiteEncoderConfig,
    TimmEncoderConfig,
    ghostnet_widths,
    make_divisible,
)
from ghostdepth_train.config.fields import MAX_SEED, MAX_SIDE, Config
from ghostdepth_train.config.files import config_names, load_train_config, parse_config
from ghostdepth_train.config.network import (
    DecoderConfig,
    NetworkConfig,
    check_camera,
    refuse_stream,
    require_encoder,
)
from ghostdepth_train.config.training import (
    AugmentConfig,
    ClipConfig,
    LossConfig,
    TrainConfig,
    TrainingConfig,
)

__all__ = [
    "ENCODERS",
    "MAX_SEED",
    "MAX_SIDE",
    "AttentionConfig",
    "AugmentConfig",
    "BlockConfig",
    "ClipConfig",
    "Config",
    "DecoderConfig",
    "EncoderConfig",
    "LiteBlockConfig",
    "LiteEncoderConfig",
    "LossConfig",
    "NetworkConfig",
    "StreamConfig",
    "TimmEncoderConfig",
    "TrainConfig",
    "TrainingConfig",
    "check_camera",
    "config_names",
    "ghostnet_widths",
    "load_train_config",
    "make_divisible",
    "parse_config",
    "refuse_stream",
    "require_encoder",
]

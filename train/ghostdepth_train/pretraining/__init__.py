"""Pretraining of the encoder on unlabelled images, before a depth network is trained."""

from ghostdepth_train.pretraining.config import PretrainConfig, load_pretrain_config
from ghostdepth_train.pretraining.images import split_images
from ghostdepth_train.pretraining.pretrainer import Pretrainer

__all__ = ["PretrainConfig", "Pretrainer", "load_pretrain_config", "split_images"]

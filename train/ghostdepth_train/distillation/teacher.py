"""The interface of teachers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from ghostdepth_train.distillation.labels import Quantity, TeacherLabels


class Teacher(ABC):
    """A frozen network that labels images. The same image always gets the same labels.

    Attributes:
        name: Name for messages.
        identity: Unique name: `name` and a hash of the weights.
        quantity: Quantity of its labels, metric or relative.
        channels: Number of channels of each of its features, see `Labels.features`; empty where
            it has none.
        size: Height and width of its input, below which its accuracy falls; None
            where they are not known.
        warnings: A line for each assumption about the teacher, by the code of its warning.
    """

    name: str
    identity: str
    quantity: Quantity
    channels: Mapping[int, int] = MappingProxyType({})
    size: tuple[int, int] | None = None
    warnings: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def __call__(self, rgb: Tensor) -> TeacherLabels:
        """Labels images.

        Args:
            rgb: Nx3xHxW RGB 0..255, uint8 or float, any size and device.

        Returns:
            Labels on the device of `rgb`, without gradient.

        Raises:
            UserError: The network gives NaN or infinity.
        """

    def features(self, rgb: Tensor) -> Mapping[int, Tensor]:
        """The features alone, see `Labels.features`; a call gives them beside the labels."""
        return self(rgb).features

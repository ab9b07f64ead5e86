"""Depth models of the transformers library, by name or from a folder."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from bench_depth.core.errors import MODEL_FAILED, UserError
from torch import Tensor
from torch.nn import functional as F

from ghostdepth_train.distillation.hub_files import (
    PREPROCESSOR,
    check_folder,
    check_preprocessor,
)
from ghostdepth_train.distillation.labels import Quantity, TeacherLabels, metric_labels
from ghostdepth_train.distillation.model_file import to_uint8
from ghostdepth_train.distillation.teacher import Teacher

# What each kind of model gives; the library does not say so for all.
QUANTITIES: dict[str, Quantity] = {
    "depth_anything": "relative-inverse",  # or metric, which its config says
    "depth_pro": "metric",
    "dpt": "relative-inverse",  # MiDaS; on a DINOv2 backbone metric
    "glpn": "metric",
    "tipsv2_dpt": "metric",
    "zoedepth": "metric",
}
# The part of each kind of model that reads its transformer's layers, one for each stride of
# `_STRIDES`. Depth Pro has none: its tokens are of patches at three sizes.
_READERS = {
    "depth_anything": "neck",
    "dpt": "neck",
    "glpn": "decoder",
    "tipsv2_dpt": "neck",
    "zoedepth": "neck",
}
_STRIDES = (4, 8, 16, 32)
# A DPT's first fusion layer has no residual to refine: published files lack these weights.
_NEVER_USED = "neck.fusion_stage.layers.0.residual_layer1."


class HubTeacher(Teacher):
    """A model that `AutoModelForDepthEstimation` loads. Its labels are of the model's own size.

    Its features are what its decoder reads of its transformer. A plain one (ViT) has maps of one
    size: the decoder makes its map of stride 4 from an early layer, that of stride 32 from the
    last one, and so the features are assigned.

    Args:
        name: A name on the Hugging Face hub, or a folder with a downloaded model.
        device: Device that the model runs on.

    Raises:
        UserError: transformers is not installed, there is no such model, or it gives no depth.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        transformers = _library()
        if not Path(name).is_dir() and (name.startswith(("/", ".", "~")) or name.count("/") > 1):
            raise UserError(f"{name} is not a folder; give one with a downloaded model")
        if Path(name).is_dir():
            check_folder(Path(name))
        # Without the last argument the library asks whether to run code of the model's.
        with _Loading(name):
            config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        self.quantity = _quantity(name, config)
        with _Loading(name):
            self.model, info = transformers.AutoModelForDepthEstimation.from_pretrained(
                name,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,
            )
        missing = {key for key in info["missing_keys"] if not key.startswith(_NEVER_USED)}
        if missing:
            raise UserError(
                f"the weights of {name} lack {min(missing)} and {len(missing) - 1} more of a "
                f"{type(self.model).__name__}; is the model of another task?"
            )
        self.model.to(device).eval().requires_grad_(False)
        self.name = Path(name).name
        self.identity = f"{self.name} sha256:{_digest(self.model, info['missing_keys'])[:16]}"
        self.device = device
        self._prepare = _processor(name)
        self._maps: dict[int, Tensor] = {}
        reader = _READERS.get(self.model.config.model_type)
        if reader is not None:
            self.model.get_submodule(reader).register_forward_pre_hook(self._keep, with_kwargs=True)

    @functools.cached_property
    def channels(self) -> Mapping[int, int]:  # type: ignore[override]
        """See `Teacher`; a picture is run to learn them, when a loss first asks for features."""
        features = self(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).features
        return {stride: x.shape[1] for stride, x in features.items()}

    def _keep(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keeps what the decoder is given: the layers, then rows and columns of tokens if known."""
        layers, *grid = *args, *kwargs.values()
        self._maps = {
            stride: token_map(x, grid) for stride, x in zip(_STRIDES, layers, strict=True)
        }

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> TeacherLabels:
        """See `Teacher`."""
        output = self.model(pixel_values=self._prepare(rgb).to(self.device))
        depth = output.predicted_depth.float()[:, None]
        field_of_view = getattr(output, "field_of_view", None)
        if self.model.config.model_type == "depth_pro":
            depth = _depth_pro(depth, field_of_view)
        depth = depth.to(rgb.device)
        if not bool(depth.isfinite().all()):
            raise UserError(f"the teacher {self.name} gives NaN or infinity", MODEL_FAILED)
        features = {stride: x.float().to(rgb.device) for stride, x in self._maps.items()}
        if self.quantity == "metric":
            return metric_labels(depth, features)
        return TeacherLabels(depth, "relative-inverse", features=features)


def token_map(x: Tensor, grid: Sequence[int | None]) -> Tensor:
    """The tokens of a transformer's layer as a map.

    Args:
        x: NxLxC, the tokens of the patches row by row after those that stand for no place, as the
            class token; or NxCxhxw, which is a map already.
        grid: Rows and columns of patches; empty or None for as many rows as columns.

    Returns:
        NxCxhxw.
    """
    if x.ndim == 4:
        return x
    rows, columns = (side or math.isqrt(x.shape[1]) for side in grid or (None, None))
    return x[:, -rows * columns :].transpose(1, 2).reshape(len(x), -1, rows, columns)


def _library() -> Any:
    try:
        import transformers
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError
        raise UserError(
            f"cannot import transformers ({error}); run: pip install 'ghostdepth[teachers]', and "
            "remove a torchvision that does not fit torch"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


class _Loading:
    """Turns the many errors of the library's loading code into one line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, OSError) and not Path(self.name).is_dir():
            raise UserError(
                f"cannot load the transformers model {self.name}: the hub has none of that name, "
                "wants a login, or is not in reach; download it first and give the folder: "
                f"hf download {self.name} --local-dir FOLDER"
            ) from error
        if isinstance(error, Exception) and not isinstance(error, UserError):
            first = str(error).strip().split("\n")[0][:200]
            raise UserError(
                f"{self.name} is no depth model that transformers can load: {first}"
            ) from error


def _quantity(name: str, config: Any) -> Quantity:
    kind = config.model_type
    made_as = (config.architectures or [""])[0]
    if kind not in QUANTITIES or (made_as and "DepthEstimation" not in made_as):
        raise UserError(
            f"{name} is a {made_as or kind}, not a model that gives depth as this program knows "
            f"it; a teacher is a DepthEstimation model of: {', '.join(QUANTITIES)}"
        )
    if kind == "depth_anything" and config.depth_estimation_type == "metric":
        return "metric"
    if kind == "dpt" and getattr(config.backbone_config, "model_type", "") == "dinov2":
        return "metric"
    return QUANTITIES[kind]


def _digest(model: torch.nn.Module, left_out: Collection[str]) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        if key not in left_out:
            digest.update(key.encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _processor(name: str) -> Callable[[Tensor], Tensor]:
    """A function Nx3xHxW RGB 0..255 -> the input of the model, which shows the whole image."""
    from transformers import AutoImageProcessor
    from transformers.image_processing_base import ImageProcessingMixin

    with _Loading(name):
        try:
            settings, _ = ImageProcessingMixin.get_image_processor_dict(name)
        except OSError as error:
            raise UserError(f"{name} has no {PREPROCESSOR}; fetch it whole") from error
    check_preprocessor(settings, name)
    with _Loading(name):
        try:
            processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
        except (ImportError, ValueError):
            # Some exist only for torchvision. A file says how they process the image.
            return lambda rgb: _plainly(rgb, settings, name)

    def prepare(rgb: Tensor) -> Tensor:
        # ZoeDepth's padding would have to be cut off again; without it the map shows the image.
        with _Loading(name):
            made = processor(
                images=list(to_uint8(rgb)),
                input_data_format="channels_last",
                do_pad=False,
                return_tensors="pt",
            )
        return torch.as_tensor(made["pixel_values"])

    return prepare


def _plainly(rgb: Tensor, settings: dict[str, Any], name: str) -> Tensor:
    size = settings.get("size")
    if not isinstance(size, dict) or not {"height", "width"} <= size.keys():
        raise UserError(f"{name}: its {PREPROCESSOR} gives no size of height and width")
    x = F.interpolate(rgb.float(), (size["height"], size["width"]), mode="bilinear", antialias=True)
    x = x * float(settings.get("rescale_factor", 1 / 255))
    if settings.get("do_normalize", False):
        mean, std = (
            torch.tensor(settings[key], device=x.device).expand(3).view(1, 3, 1, 1)
            for key in ("image_mean", "image_std")
        )
        x = (x - mean) / std
    return x


def _depth_pro(canonical: Tensor, field_of_view: Tensor | None) -> Tensor:
    """Depth Pro's inverse depth for a focal length of one image width -> metres."""
    if field_of_view is not None:
        # The focal length over the width is 0.5 / tan(0.5 fov).
        canonical = canonical * 2 * (torch.deg2rad(field_of_view.view(-1, 1, 1, 1)) / 2).tan()
    return canonical.clamp(1e-4, 1e4).reciprocal()

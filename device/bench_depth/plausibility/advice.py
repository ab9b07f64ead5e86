"""The remedies of implausible data and outputs by the code of the warning: plain text."""

OUTPUT_ADVICE = {
    "output-nan": "the model gives NaN or infinity; train or export it again",
    "output-constant": "the model gives the same depth for every pixel; check that it is trained "
    "and that its input is described as it was trained (--input-range, --normalize, --layout)",
    "output-negative": "the model gives negative depth; describe its output with --quantity, or "
    "train it again",
    "output-same": "the model gives the same depth for different photos; train or export it again, "
    "or check that its input is described as it was trained (--input-range, --normalize, --layout)",
    "output-unit": "the model's depth is implausibly near or far for metres; give its unit with "
    "--unit",
}

DATA_ADVICE = {
    "depth-ceiling": "many depth pixels have the largest value; if they are unknown they must be 0",
    "depth-floor": "many depth pixels are nearer than any camera measures; if they are unknown "
    "they must be 0",
    "depth-metres": "the depth looks like metres stored as integers; multiply it by 1000, as a "
    "depth map holds millimetres",
    "depth-centimetres": "the depth looks like centimetres; multiply it by 10, as a depth map "
    "holds millimetres",
    "depth-far": "half of the depth is implausibly far; check the unit, as a depth map holds "
    "millimetres (TUM: 5000 steps per metre, KITTI: 256)",
    "depth-coarse": "the depth has as few values as an 8-bit picture; use the original depth, not "
    "a picture of it",
    "depth-constant": "depth maps have the same value everywhere; check how they were converted, "
    "or remove them",
    "depth-empty": "depth maps are 0 = unknown everywhere and are of no use; remove the pairs or "
    "convert them again",
    "depth-repeated": "different photos have the same depth map; check how they were converted, "
    "unless the light alone differs",
    "depth-sparse": "depth maps have almost no known pixel, so that their metrics are chance; use "
    "denser depth, or remove the pairs",
    "depth-unaligned": "a pixel of the depth map must show what the same pixel of the photo shows; "
    "register the depth to the photo's camera (the calibration of most depth cameras has a command "
    "for it), or undo the change",
    "photo-blank": "photos have the same colour everywhere; check how they were converted, or "
    "remove them",
    "photo-dark": "photos are black or almost black; check how they were converted, as values of 0 "
    "to 1 must be multiplied by 255, and 10 or 12 bits shifted to 8",
    "photo-depth": "photos are 16-bit pictures of one channel, as depth maps are; check that they "
    "are photos, and store them with 8 bits",
    "photo-exif": "photos have an EXIF orientation, which is ignored, as a dataset is pixels as "
    "stored; where the depth map is of the turned photo, turn its pixels and remove the tag",
    "photo-shared": "photos of the validation set are in the training set as well, so that "
    "validation tells nothing about other photos; validate on photos that are not trained on",
    "photo-tiny": "photos are too small to show anything; use larger ones",
}


def warning_line(code: str, text: str) -> str:
    """The line that shows a warning; its code is what results files hold."""
    return f"warning: {text} [{code}]"

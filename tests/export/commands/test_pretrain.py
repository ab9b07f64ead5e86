"""`ghostdepth pretrain`: a run with its page, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import ghostdepth
import numpy as np
import pytest

SMALL = ("network.input_width=64", "codes=8", "batch_size=5")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(10):
        blobs = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
        picture = cv2.resize(blobs, (96, 72), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        assert cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), picture.astype(np.uint8))
    return tmp_path / "images"


def test_a_run_leaves_an_encoder_and_a_page_and_is_no_depth_network(
    images: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    best = ghostdepth.pretrain(
        [images], tmp_path / "run", config="tiny", epochs=1, settings=SMALL, workers=0,
        log=said.append,
    )  # fmt: skip
    assert "skip-gram (4x4 patches of 16x16, 8 codes) on 10 images" in said[0]
    assert (tmp_path / "run" / "neighbours.html").read_text().count("<img ") == 1 + 5
    with pytest.raises(ghostdepth.UserError, match="holds a pretrained encoder") as raised:
        ghostdepth.export(best, tmp_path / "exported")
    assert "\n" not in str(raised.value)


def test_mistakes_are_one_line(images: Path, tmp_path: Path) -> None:
    mistakes: dict[str, tuple[Path, dict[str, str]]] = {
        "is not a folder of images": (tmp_path / "none", {}),
        "--teacher is for --method features": (images, {"teacher": "efficientnet-lite0"}),
        "method: Input should be 'skip-gram', 'cbow' or 'features'": (images, {"method": "bert"}),
        "144 patches of 16x16 pixels, too few for 256 codes": (images, {}),
        "did you mean ghostdepth-s": (images, {"teacher": "ghostdeph-s", "method": "features"}),
    }
    for says, (folder, more) in mistakes.items():
        with pytest.raises(ghostdepth.UserError) as raised:
            ghostdepth.pretrain(
                [folder], tmp_path / "out", config="tiny", workers=0, **more,  # type: ignore[arg-type]
                settings=SMALL[:1],
            )  # fmt: skip
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()

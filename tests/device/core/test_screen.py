from __future__ import annotations

import io
import random
import sys
import unicodedata

import pytest
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.screen import counted, printable, say, show

# What moves the cursor, ends a line, turns the direction of writing or cannot be encoded.
CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F)]
CONTROLS += [*range(0x2066, 0x206A), *range(0xD800, 0xE000, 64), 0xFEFF]
# What has no width: soft hyphen, joiners, tags, selectors of variants, fillers.
CONTROLS += [0xAD, 0x180E, 0x200B, 0x200C, 0x200D, *range(0x2060, 0x2066), 0x206F, 0xFFF9]
CONTROLS += [0x1D173, *range(0xE0000, 0xE0080), 0x34F, 0x115F, 0x3164, 0xFE0F, 0xFFA0, 0xE0100]
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames"), (21, "21 frames")]
)
def test_one_is_no_plural(number: int, said: str) -> None:
    assert counted(number, "frame") == said


def hostile_text(rng: random.Random) -> str:
    pool = [
        *map(chr, CONTROLS),
        "\033[2J",
        "\033]0;owned\007",
        "\r\n",
        "a",
        "é",
        "深",
        "🙂",
        "[red]",
    ]
    return "".join(rng.choices(pool, k=rng.randrange(30)))


def test_each_control_character_becomes_an_escape() -> None:
    for char in map(chr, CONTROLS):
        assert printable(f"a{char}b") == f"a{ascii(char)[1:-1]}b"


def test_no_control_character_is_left() -> None:
    for seed in range(1000):
        text = printable(hostile_text(random.Random(seed)))
        kinds = {unicodedata.category(char) for char in text if char != " "}
        assert not kinds & UNSEEN, seed
        assert text == printable(text), seed


def test_the_category_of_a_character_decides_whether_it_is_shown() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(char) in UNSEEN and char != " ":
            assert printable(char) == ascii(char)[1:-1] != char, ascii(char)
            assert printable(f"a{char}b", keep=char) == f"a{char}b", ascii(char)


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Küche_深度-🙂 [red] 3 × 4 m²"
    assert printable(text) == text
    assert printable("a\nb\tc\033", "\n\t") == "a\nb\tc\\x1b"


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("photo\nrm -rf\033[2K")
    say("to the\rother", error=True)
    assert capsys.readouterr() == ("photo\\nrm -rf\\x1b[2K\n", "to the\\rother\n")


def test_what_the_encoding_of_the_screen_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    show("3 × 4\n")
    assert stream.buffer.getvalue() == b"3 \\xd7 4\n"  # type: ignore[attr-defined]


def test_an_error_is_one_printable_line_of_moderate_length(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work() -> int:
        raise UserError(f"cannot read \033[31m\u202e{'x' * 100_000}: rename it")

    assert exit_code("program", work) == 2
    line = capsys.readouterr().err
    assert line.startswith("program: cannot read \\x1b[31m\\u202exxx")
    assert line.endswith("xxx: rename it\n")
    assert len(line) < 1300

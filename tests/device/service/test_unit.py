"""The unit's text: quoted so that systemd reads back what was given."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.service.unit import environment_line, quote, unit_text

pytestmark = pytest.mark.same_everywhere

HARD = ["", " ", "a b", "50%", "%h", "%%", '"', "'", "\\", "\\x41", "$HOME", "${HOME}", ";", "é"]
HARD += ["\n", "a\\\n", "\t", "\x7f", "\x1b[31m", "#", "--x=y z", "'\"\\%$;\n", "door=0.1,0.2"]


def read_words(line: str) -> list[str]:
    """The words of a line as systemd.syntax(7) and systemd.unit(5), "Specifiers", describe them."""
    words = []
    for body in re.findall(r'"((?:[^"\\]|\\.)*)"(?: |$)', line):
        plain = re.sub(
            r"\\(x([0-9a-f]{2})|.)",
            lambda found: chr(int(found[2], 16)) if found[2] else found[1],
            body,
        )
        assert not re.search(r"(?<!%)(%%)*%(?!%)", plain), "a specifier"
        words.append(plain.replace("%%", "%"))
    return words


def hard_words(seed: int) -> list[str]:
    rng = random.Random(seed)
    letters = "ab \"'\\%$;{}#=:\n\t\r\x01\x1b\x7f\u2028é漢x41"
    return ["".join(rng.choices(letters, k=rng.randrange(12))) for _ in range(20)]


@pytest.mark.parametrize("words", [HARD, *map(hard_words, range(100))])
def test_words_are_read_back_as_they_were(words: list[str]) -> None:
    line = " ".join(map(quote, words))
    assert not re.search(r"[\x00-\x1f\x7f]", line)
    assert read_words(line) == words


def test_the_command_keeps_its_program_and_words_apart() -> None:
    text = unit_text(["/opt/a b/python", "-m", *HARD], Path("/etc/50%/env"), [], system=True)
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert read_words(line) == [":/opt/a b/python", "-m", *HARD]
    assert "EnvironmentFile=/etc/50%%/env\n" in text


@pytest.mark.parametrize("path", ["/a\nb", "/a'b", '/a"b', "/a\\b", "/a\x1b", "/a "])
def test_a_path_that_systemd_does_not_take_is_refused(path: str) -> None:
    for command, secrets, reads in [
        ([path], Path("/e"), []),
        (["/p"], Path(path), []),
        (["/p"], Path("/e"), [Path(path)]),
    ]:
        with pytest.raises(UserError, match="rename it"):
            unit_text(command, secrets, reads, system=False)


def test_what_is_not_text_is_refused() -> None:
    with pytest.raises(UserError, match="UTF-8"):
        quote("a\udcff")
    with pytest.raises(UserError, match="control character"):
        environment_line("A", "one\nB=two")


def test_a_password_with_quotes_is_escaped() -> None:
    assert environment_line("A", 'q"\\$`%; x') == 'A="q\\"\\\\\\$\\`%; x"\n'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("system", [True, False])
def test_systemd_takes_the_unit(
    system: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    unit = tmp_path / "bench-depth.service"
    command = [sys.executable, *HARD, *hard_words(0)]
    reads = [Path("/home/a b: 50%/x")]
    unit.write_text(unit_text(command, tmp_path / "service.env", reads, system, "video"))
    words = ["systemd-analyze", "--man=no", "verify", *([] if system else ["--user"]), unit]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    # It also says what it thinks of other units of this machine.
    own = [line for line in done.stderr.splitlines() if unit.name in line]
    assert own == []
    if not done.returncode:
        return
    pytest.skip(f"systemd-analyze does not work here: {done.stderr[:200]}")

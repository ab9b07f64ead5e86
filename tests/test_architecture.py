"""The map in docs/architecture.md holds: every import goes up the list, and no folder overflows."""

from __future__ import annotations

import ast
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A folder that a reader can keep in mind, `__init__.py` not counted.
MAX_FILES = 13


def _map() -> list[str]:
    """The map's folders and modules in its order, as dotted names."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    block = text.partition("<!-- map -->")[2].partition("<!-- end -->")[0]
    return [
        name.replace("/", ".") for name in re.findall(r"^\| `([\w/]+)` \|", block, re.MULTILINE)
    ]


def _modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for top in ("device", "train", "export"):
        for path in (ROOT / top).glob("*/**/*.py"):
            if "native" in path.parts or path.parent == ROOT / top:
                continue
            name = ".".join(path.relative_to(ROOT / top).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def _place(module: str, rows: list[str]) -> str:
    """The row of the map that a module belongs to: itself, or the nearest folder above it."""
    while module not in rows:
        module = module.rpartition(".")[0]
        assert module, "every module is on the map"
    return module


def _imported(path: Path, modules: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` is an import of the module.
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in modules else node.module)
    # `from bench_depth import __version__` is no arrow: a package's version depends on nothing.
    return {name for name in found if name in modules and name != "bench_depth"}


def test_every_import_goes_up_the_map() -> None:
    rows, modules = _map(), _modules()
    order = {name: index for index, name in enumerate(rows)}
    wrong = sorted(
        f"{module} imports {target}"
        for module, path in modules.items()
        for target in _imported(path, modules)
        if order[_place(target, rows)] > order[_place(module, rows)]
    )
    assert not wrong, wrong


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = _modules()
    graph = {name: _imported(path, modules) - {name} for name, path in modules.items()}
    TopologicalSorter(graph).prepare()  # A CycleError names the files.


def test_the_map_names_what_there_is_and_nothing_else() -> None:
    rows, modules = _map(), _modules()
    used = {_place(module, rows) for module in modules}
    assert set(rows) == used
    folders = {name.rpartition(".")[0] for name in modules if "." in name}
    packages = {name for name in folders if name in modules}
    assert not packages - set(rows), "a folder is missing on the map"


def test_no_folder_has_more_files_than_one_can_keep_in_mind() -> None:
    counts = Counter(path.parent for path in _modules().values() if path.name != "__init__.py")
    assert not {str(folder): n for folder, n in counts.items() if n > MAX_FILES}


def test_a_script_of_the_benchmarks_reads_its_arguments_so_that_help_does_no_work() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "benchmarks").rglob("*.py")}
    scripts = {name: text for name, text in texts.items() if '__name__ == "__main__"' in text}
    assert len(scripts) > 20
    for name, text in scripts.items():
        assert "parse_args(" in text or "main(*sys.argv[1:])" in text, f"{name} --help runs"


def _defined(path: Path) -> set[str]:
    """Names that a module has, wherever they are bound in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_tests_and_benchmarks_import_only_names_that_the_packages_have() -> None:
    """mypy reads the packages alone, and nobody runs every benchmark after a change of a name."""
    modules = _modules()
    defined = {name: _defined(path) for name, path in modules.items()}
    missing = [
        f"{path.relative_to(ROOT)} line {node.lineno}: {node.module}.{alias.name}"
        for folder in ("tests", "benchmarks", "docs")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in modules
        for alias in node.names
        if alias.name not in defined[node.module] and f"{node.module}.{alias.name}" not in modules
    ]
    assert not missing, missing


def test_text_of_another_program_that_is_not_utf_8_ends_nothing() -> None:
    found = 0
    for name, path in _modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            given = {k.arg for k in node.keywords} if isinstance(node, ast.Call) else set()
            found += "text" in given and "errors" in given
            assert "errors" in given or not given & {"text", "universal_newlines"}, (
                f"{name} line {node.lineno}: give errors="
            )
    assert found > 5


def test_temporary_folders_are_those_that_go_after_a_kill_as_well() -> None:
    own = _modules().pop("bench_depth.core.temporary")
    for path in set(_modules().values()) - {own}:
        used = re.search(r"TemporaryDirectory|mkdtemp", path.read_text())
        assert not used, f"{path}: use fresh_folder of {own.name}"

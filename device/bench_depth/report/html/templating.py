"""Jinja2, imported only when a page is written: a Pi measures without it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.core.screen import printable

PACKAGE = "bench_depth.report.html"


def require_jinja() -> None:
    """Checks that pages can be written, without importing what they need.

    Raises:
        UserError: Jinja2 is not installed.
    """
    if find_spec("jinja2") is None or find_spec("markupsafe") is None:
        raise UserError(
            "--html needs Jinja2, which is not installed; run: python3 -m pip install jinja2"
        )


def render_page(package: str, template: str, /, **values: Any) -> str:
    """A page as HTML: what is filled in is escaped, what is missing is an error.

    Control characters, as names of files may hold, become escapes.

    Args:
        package: Package whose `templates/` holds the template; those of this package are found
            beside them.
        template: File name of the template.
        values: The template's variables.
    """
    require_jinja()
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    text = environment.get_template(template).render(values)
    return printable(text, keep="\n\t")

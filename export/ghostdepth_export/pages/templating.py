"""The pages' templates, in `templates/`."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """A template of HTML: what is filled in is escaped, what is missing is an error."""
    environment = Environment(
        loader=PackageLoader("ghostdepth_export.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)

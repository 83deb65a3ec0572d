"""How the documentation site is made: `make docs`."""

from __future__ import annotations

from meze.version import __version__

project = "meze"
author = "The meze authors"
copyright = "The meze authors"
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
extensions += [f"sphinx.ext.{name}" for name in ("autodoc", "napoleon", "viewcode")]
default_role = "code"  # single backticks in docstrings
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give shapes, dtypes and units beside them
napoleon_google_docstring = True
viewcode_follow_imported_members = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "meze"
html_static_path = ["_static"]
html_css_files = ["meze.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def setup(app) -> None:
    """Leaves what is said of attributes as it stands: napoleon takes words before a colon for a type."""
    said: dict[str, list[str]] = {}

    def keep(app, what, name, thing, options, lines) -> None:
        said[name] = list(lines)

    def take_back(app, what, name, thing, options, lines) -> None:
        if what in ("attribute", "data", "property"):
            lines[:] = said[name]

    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", take_back, priority=600)

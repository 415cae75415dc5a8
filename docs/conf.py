"""Settings of the documentation site, which `make docs` builds."""  # noqa: INP001

import importlib.metadata
import sys
from pathlib import Path

# The pages of the reference are written by docs/reference_pages.py.
sys.path.insert(0, str(Path(__file__).parent))

project = "chiralscreen"
author = "The chiralscreen developers"
release = importlib.metadata.version("chiralscreen")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference_pages"]
# Short names of types (`Graph`, `Batch`) may mean more than one class: no link is made then.
suppress_warnings = ["ref.python"]

# Headings are targets of links, as on GitHub.
myst_heading_anchors = 4
# The guide asks a real dataset: a wrong answer fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True

autodoc_member_order = "bysource"
# Docstrings tell types, with shapes and units.
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "chiralscreen"
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
# Pages ask no other server for anything.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#8ab8ee", "color-brand-content": "#8ab8ee"},
}
html_favicon = "../tasks/site/assets/app/favicon.svg"
html_static_path = ["style"]
html_css_files = ["docs.css"]

"""How Sphinx makes the site: `./dev site`.

Pages are plain Markdown that reads as well where the repository is browsed, so links are relative to files, and
only `index.md` has directives, which are the navigation. The source directory is the repository's, since pages
beside what they are about, as the chart's, belong to the site, too.
"""

from __future__ import annotations

import re
from pathlib import Path

_PACKAGE = Path(__file__).parents[1] / "pyproject.toml"

project = "Herald"
release = re.findall(r'^version = "(.+)"$', _PACKAGE.read_text(), re.MULTILINE)[0]
html_title = f"Herald {release}"
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_extra_path = ["landing"]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "charts/heraldlb/README.md", "benchmarks/README.md", "lab/README.md", "*.md"]
exclude_patterns = ["README.md"]

# The anchors that repositories' own pages give to headings, so that one link serves both.
myst_heading_anchors = 4
nitpicky = True
# Messages are quoted to be searched for.
smartquotes = False

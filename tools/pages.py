"""The repository's Markdown pages: their links, anchors and blocks of code, as far as tests of them need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
NAVIGATION: Final = DOCS / "index.md"

_FENCE: Final = re.compile(r"^ *(`{3,})([^\n]*)\n(.*?)^ *\1`*[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE: Final = re.compile(r"`[^`\n]*`")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(\s*([^)\s]+)\s*\)")
_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code: the word or words after its fence, and what is in it."""

    kind: str
    text: str


def pages(root: Path = ROOT) -> list[Path]:
    """Every page that is part of the repository, in order of their paths."""
    folders = ("docs", "charts", "benchmarks", "lab", "examples")
    found = [*root.glob("*.md"), *(page for folder in folders for page in (root / folder).rglob("*.md"))]
    return sorted(found)


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page's text."""
    for _, kind, text in _FENCE.findall(page):
        yield Block(kind.strip(), text)


def manifests(page: str) -> list[dict[str, Any]]:
    """The Kubernetes objects that a page's text shows whole."""
    bodies = (body for block in blocks(page) if block.kind == "yaml" for body in yaml.safe_load_all(block.text))
    return [body for body in bodies if {"apiVersion", "kind", "metadata"} <= body.keys()]


def commands(page: str) -> list[str]:
    """The lines of code on a page, inline code among them, each with what continues it."""
    inline = _INLINE_CODE.findall(_FENCE.sub("", page))
    fenced = (line.strip() for block in blocks(page) for line in block.text.replace("\\\n", " ").splitlines())
    return [*(code.strip("`") for code in inline), *fenced]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as repositories' pages and MyST make them; repeated ones are numbered."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub("", page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {slug if number == 0 else f"{slug}-{number}" for slug, count in found.items() for number in range(count)}


def links(page: str) -> list[str]:
    """The targets of a page's links and pictures that lead to something in the repository; code has none."""
    prose = _INLINE_CODE.sub("", _FENCE.sub("", page))
    return [target for target in _LINK.findall(prose) if not _SCHEME.match(target)]


def broken_link(page: Path, target: str) -> str:
    """What is wrong with a link of a page, or nothing."""
    path, _, anchor = target.partition("#")
    leads_to = (page.parent / path).resolve() if path else page
    if not leads_to.is_relative_to(ROOT) or not leads_to.exists():
        return f"{target}: no such file"
    if anchor and (leads_to.suffix != ".md" or anchor not in anchors(leads_to.read_text())):
        return f"{target}: no such heading"
    return ""


def navigation() -> list[Path]:
    """The pages that the site's navigation lists, in its order."""
    lines = (
        line.strip()
        for block in blocks(NAVIGATION.read_text())
        if block.kind == "{toctree}"
        for line in block.text.splitlines()
    )
    entries = (re.sub(r"^.*<(.+)>$", r"\1", line) for line in lines if line and not line.startswith(":"))
    return [(DOCS / f"{entry}.md").resolve() for entry in entries]

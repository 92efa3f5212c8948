"""One version in every place, and a command that writes it there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import heraldlb
from tools.pages import ROOT
from tools.release.__main__ import write
from tools.release.changelog import release, releases
from tools.release.versions import CHANGELOG, ReleaseError, mentions, parse, read

TODAY = date(2026, 11, 22)
NEXT = "9999.0.1"
LOG = "# Changelog\n\nWords.\n\n## Unreleased\n\n### Added\n\n- A.\n\n## 0.9.0 - 2026-10-01\n\n- B.\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A tree with all files in which the version stands, and something to release."""
    for name, text in read().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / CHANGELOG).write_text(LOG)
    return tmp_path


def test_package_chart_image_and_pages_have_one_version() -> None:
    found = list(mentions(read()))
    assert [mention for mention in found if mention.version != heraldlb.__version__] == []
    places = [mention.path for mention in found]
    assert places.count("charts/heraldlb/Chart.yaml") == 2
    assert {"pyproject.toml", "operator/heraldlb/__init__.py", "Dockerfile", "docs/start.md"} <= set(places)


def test_the_changelog_has_the_newest_release_first_and_none_above_the_version() -> None:
    versions = [parse(version) for version in releases((ROOT / CHANGELOG).read_text())]
    assert versions == sorted(versions, reverse=True)
    assert all(version <= parse(heraldlb.__version__) for version in versions)


def test_a_release_is_written_in_every_place(copy: Path) -> None:
    places = {(mention.path, mention.line) for mention in mentions(read(copy))}
    changed = write(copy, NEXT, TODAY)
    after = list(mentions(read(copy)))
    assert {mention.version for mention in after} == {NEXT}
    assert {(mention.path, mention.line) for mention in after} == places
    assert set(changed) == {path for path, _ in places} | {CHANGELOG}
    assert releases((copy / CHANGELOG).read_text())[0] == NEXT


def test_what_was_unreleased_is_moved_below_the_version() -> None:
    assert release(LOG, "0.10.0", TODAY) == LOG.replace("Unreleased\n", "Unreleased\n\n## 0.10.0 - 2026-11-22\n")


@pytest.mark.parametrize(
    ("version", "log", "said"),
    [
        pytest.param("v1.0.0", LOG, '"v1.0.0" is no version of a release', id="prefix"),
        pytest.param("1.0.0-rc.1", LOG, '"1.0.0-rc.1" is no version of a release', id="candidate"),
        pytest.param("0.9.0", LOG, "0.9.0 is not above 0.9.0", id="again"),
        pytest.param("0.8.9", LOG, "0.8.9 is not above 0.9.0", id="backwards"),
        pytest.param("1.0.0", LOG.replace("### Added\n\n- A.\n\n", ""), "nothing under", id="nothing new"),
    ],
)
def test_what_cannot_be_released_is_told_and_nothing_is_written(
    copy: Path, version: str, log: str, said: str
) -> None:
    (copy / CHANGELOG).write_text(log)
    before = read(copy)
    with pytest.raises(ReleaseError, match=said):
        write(copy, version, TODAY)
    assert read(copy) == before

"""Files that are to be applied as definitions are read, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from heraldlb.installation.definitions import DefinitionError, read

CRDS = Path(__file__).parents[3] / "crds"


def test_the_definitions_of_the_repository_are_read() -> None:
    assert [each["metadata"]["name"] for each in read(CRDS)] == [
        "addresspools.heraldlb.io",
        "l2announcements.heraldlb.io",
        "serviceaddresses.heraldlb.io",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param("kind: Secret\nmetadata: {name: x}\n", r"a\.yaml is no CustomResourceDefinition", id="kind"),
        pytest.param("- 1\n", r"a\.yaml is no CustomResourceDefinition", id="list"),
        pytest.param("kind: CustomResourceDefinition\n", r"a\.yaml: metadata\.name is missing", id="name"),
        pytest.param("{", r"a\.yaml: ", id="no-yaml"),
        pytest.param(None, r"holds no file \*\.yaml", id="nothing"),
    ],
)
def test_what_is_no_definition_is_refused_by_its_file(content: str | None, complaint: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(DefinitionError, match=complaint):
        read(tmp_path)

from __future__ import annotations

import pytest

from heraldlb.migration.documents import DocumentError, read
from tests.unit.migration.reading import documents


def test_what_yaml_1_1_takes_for_a_number_to_the_base_60_or_a_date_stays_text() -> None:
    [document] = documents(
        """
        community: 64512:1
        long: 64512:100:200
        time: 1:30
        fraction: 1:30.5
        day: 2026-01-01
        address: 192.168.1.240
        """
    )
    assert document.raw == {
        "community": "64512:1",
        "long": "64512:100:200",
        "time": "1:30",
        "fraction": "1:30.5",
        "day": "2026-01-01",
        "address": "192.168.1.240",
    }


def test_numbers_and_truth_values_are_what_kubernetes_tools_take_them_for() -> None:
    [document] = documents("a: [64512, -1, 0x10, 010, 08]\nb: [1.5, 1e3, .5]\nc: [true, no, ~]")
    assert document.raw == {"a": [64512, -1, 16, 8, "08"], "b": [1.5, 1000.0, 0.5], "c": [True, False, None]}


def test_every_value_knows_its_line_in_each_of_several_documents_and_in_a_list() -> None:
    first, second, third = documents(
        """
        kind: Service
        metadata:
          name: web
        ---
        # Empty documents count for nothing.
        ---
        kind: List
        items:
          - kind: Service
            metadata: {name: a}
          - kind: Node
            metadata:
              name: b
        """
    )
    assert first.line(("metadata", "name")) == 3
    assert (second.kind, second.line(("metadata", "name"))) == ("Service", 10)
    assert (third.kind, third.line(("metadata", "name"))) == ("Node", 13)
    assert third.line(("metadata", "labels", "none")) == 12


def test_json_is_read_as_well() -> None:
    [document] = read("-", '{"kind": "ServiceList", "items": [{"kind": "Service", "metadata": {"name": "a"}}]}')
    assert document.title == "Service a"
    assert document.line(("metadata",)) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\nb: ]\n", "old.yaml:2: "),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 'old.yaml:4: "c" is there twice'),
        ("- a\n", "old.yaml:1: this is no object"),
        ("{]", "old.yaml:1: "),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(content: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read("old.yaml", content)
    assert said in str(raised.value)

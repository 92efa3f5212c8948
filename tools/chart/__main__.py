"""Writes the chart's README and the descriptions of its schema: a part of `./dev docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tools.chart.readme import with_tables
from tools.chart.values import described, documented

CHART: Final = Path(__file__).parents[2] / "charts" / "heraldlb"


def pages(chart: Path = CHART) -> dict[Path, str]:
    """What each file is to hold. Raises UndocumentedError, ValueError."""
    readme, schema_file = chart / "README.md", chart / "values.schema.json"
    schema: dict[str, Any] = json.loads(schema_file.read_text())
    values = documented((chart / "values.yaml").read_text(), schema)
    return {
        readme: with_tables(readme.read_text(), values),
        schema_file: json.dumps(described(schema, values), indent=2) + "\n",
    }


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()

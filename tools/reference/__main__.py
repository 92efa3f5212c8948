"""Writes the reference page: `./dev docs`."""

from __future__ import annotations

from tools.reference.page import PAGE, load_definitions, render


def main() -> None:
    PAGE.write_text(render(load_definitions()))


if __name__ == "__main__":
    main()

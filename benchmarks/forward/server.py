"""Takes connections and closes them, as fast as it can: `python -m benchmarks.forward.server PORT`."""

from __future__ import annotations

import socket
import sys

_BACKLOG = 65_535


def main(port: int) -> None:
    """For ever."""
    with socket.create_server(("", port), backlog=_BACKLOG) as listener:
        while True:
            connection, _ = listener.accept()
            connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))

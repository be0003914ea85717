"""Run as ``python -m tests.services.wait_for_port HOST PORT``: ends when something listens."""

import socket
import sys
import time


def main() -> None:
    deadline = time.monotonic() + 170.0
    while True:
        try:
            socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main()

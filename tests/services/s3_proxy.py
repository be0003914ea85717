"""Run as ``python -m tests.services.s3_proxy HOST PORT UPSTREAM FAULTS``: a proxy before a store.

What goes wrong with requests is read from the file FAULTS whenever it has changed.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.fixtures.faulty_proxy import Faults, FaultyProxy, _Handler, _Server


class _Steered(FaultyProxy):
    """A proxy whose faults lie in a file."""

    path: Path
    seen = 0

    def verdict(self, method: str, path: str, span: str) -> str:
        changed = self.path.stat().st_mtime_ns
        if changed != self.seen:
            self.seen = changed
            faults: dict[str, Any] = json.loads(self.path.read_text())
            self.begin(**{**faults, "methods": tuple(faults.get("methods", Faults.methods))})
        return super().verdict(method, path, span)


def main() -> None:
    host, port, upstream, path = sys.argv[1:]
    store = cast("Any", SimpleNamespace(endpoint=f"http://{host}:{upstream}"))
    server = _Server((host, int(port)), _Handler)
    server.proxy = _Steered(f"http://{host}:{port}", store)
    server.proxy.path = Path(path)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()

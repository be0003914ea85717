"""Run as ``python -m tests.services.s3_proxy HOST PORT UPSTREAM FAULTS``: a proxy before a store.

What goes wrong with requests is read from the file FAULTS whenever it has changed; how many it went
wrong with since is written beside it.
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
    wrong = 0

    def verdict(self, method: str, path: str, span: str) -> str:
        changed = self.path.stat().st_mtime_ns
        if changed != self.seen:
            self.seen, self.wrong = changed, 0
            faults: dict[str, Any] = json.loads(self.path.read_text())
            self.begin(**{**faults, "methods": tuple(faults.get("methods", Faults.methods))})
        said = super().verdict(method, path, span)
        slowed = self.faults.delay > 0.0 and method in self.faults.methods
        if said != "pass" or slowed:
            self.wrong += 1
            self.path.with_suffix(".count").write_text(str(self.wrong))
        return said


def main() -> None:
    host, port, upstream, path = sys.argv[1:]
    store = cast("Any", SimpleNamespace(endpoint=f"http://{host}:{upstream}"))
    server = _Server((host, int(port)), _Handler)
    server.proxy = _Steered(f"http://{host}:{port}", store)
    server.proxy.path = Path(path)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()

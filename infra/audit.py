"""Ask for known weaknesses of the installed packages; say plainly where nobody could be asked.

Exit status: 0 none known, or not checked because the service cannot be reached; 1 some are known,
or not checked although ``NUNATAK_AUDIT=required`` says that it must be.
"""

import json
import os
import subprocess
import sys

_ASK = ("--vulnerability-service", "osv", "--skip-editable", "--format", "json")
_QUIET = ("--progress-spinner", "off", "--timeout", "10")


def main() -> int:
    """Run pip-audit and tell what came of it."""
    command = [sys.executable, "-m", "pip_audit", *_ASK, *_QUIET]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=600, check=False
        )
        found = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError, subprocess.TimeoutExpired) as error:
        said = done.stderr.strip() if not isinstance(error, subprocess.TimeoutExpired) else ""
        return _not_checked(said.splitlines()[-1] if said else str(error))
    weak = [(each, flaw) for each in found for flaw in each.get("vulns", [])]
    for each, flaw in weak:
        mended = ", ".join(flaw["fix_versions"]) or "no release yet"
        _say(f"{each['name']} {each['version']}: {flaw['id']}, mended in {mended}")
    skipped = [each["name"] for each in found if "skip_reason" in each]
    _say(f"pip-audit: {len(weak)} known weaknesses of {len(found) - len(skipped)} packages")
    if skipped:
        _say(f"pip-audit: NOT CHECKED, unknown to the service: {', '.join(sorted(skipped))}")
    return 1 if weak else 0


def _not_checked(why: str) -> int:
    _say(f"pip-audit: NOT CHECKED, its service could not be asked: {why[:300]}")
    _say("pip-audit: repeat it with a network: make audit")
    return 1 if os.environ.get("NUNATAK_AUDIT") == "required" else 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())

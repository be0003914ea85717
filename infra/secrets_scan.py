"""Look for secrets in tracked files that nobody has looked at yet; nothing is sent anywhere.

``.secrets.baseline`` holds the settings of detect-secrets and digests of what was found and is no
secret: moved lines count as looked at, changed ones do not. ``--accept`` writes it anew.
"""

import os
import subprocess
import sys

from detect_secrets import SecretsCollection
from detect_secrets.core import baseline

BASELINE = ".secrets.baseline"


def main() -> int:
    """Scan, and tell what is new."""
    known = baseline.load(baseline.load_from_file(BASELINE), BASELINE)
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in listed.stdout.split("\0") if os.path.isfile(name)]  # noqa: PTH113
    found = SecretsCollection()
    found.scan_files(*names, num_processors=os.cpu_count() or 1)
    if "--accept" in sys.argv[1:]:
        baseline.save_to_file(found, BASELINE)
        sys.stderr.write(f"secrets: {len(list(found))} findings taken down as none\n")
        return 0
    new = sorted((name, each.line_number, each.type) for name, each in found - known)
    for name, line, kind in new:
        sys.stderr.write(f"{name}:{line}: looks like a secret ({kind})\n")
    sys.stderr.write(f"secrets: {len(names)} files, {len(new)} findings that nobody looked at")
    sys.stderr.write("; remove them, or `make secrets-baseline` after looking\n" if new else "\n")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether the process of a container works, as its image's HEALTHCHECK asks; Kubernetes has probes.

Asks each address in ``NUNATAK_HEALTH_URLS``, separated by blanks (``http://127.0.0.1:8787/health``
for a scheduler). Without any, that the software is there and has somewhere to write.
"""

import importlib.util
import os
import sys
import tempfile
import urllib.error
import urllib.request


def faults(urls: list[str]) -> list[str]:
    """Return what is wrong, nothing if all is well."""
    found = [said for url in urls if (said := _silence(url))]
    if not urls and importlib.util.find_spec("pipelines.cli") is None:
        found.append("nunatak is not installed in this image")
    try:
        tempfile.TemporaryFile().close()
    except OSError as error:
        found.append(f"nothing can be written to {tempfile.gettempdir()}: {error}")
    return found


def _silence(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return f"{url}: expected http:// or https://"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - checked above
            return "" if answer.status < 300 else f"{url} answered {answer.status}"
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    said = faults(os.environ.get("NUNATAK_HEALTH_URLS", "").split())
    sys.exit("; ".join(said) or 0)

"""Which files of a product others may see, and what may be a path of one.

The one list of ``nunatak share`` and ``nunatak serve``: what a page or a map needs. Versions,
receipts and run files stay with whoever made them.
"""

import fnmatch
import re
from urllib.parse import unquote_to_bytes

STORE = "product.zarr/"
SHOWN = ("item.json", f"{STORE}*", "tables/*.csv", "figures/*.png", "release/*")

PAGES = ("index.html", "tables/*", "figures/*", "provenance/*")
"""Of a report. Its folder may hold products, too, and what somebody keeps beside it."""

LONGEST_PATH = 1024
"""Bytes of a path before it is decoded; ours have a hundred."""

# A name that is decoded once and still holds a percent sign was encoded twice, to pass a first
# look; Windows takes a backslash for a slash; control characters end up in logs.
_FORBIDDEN = re.compile(r"[%\\/\x00-\x1f\x7f]")


class PathError(ValueError):
    """A path that no file of ours has."""


def is_shown(path: str) -> bool:
    """Tell whether a path below a product is one that others may see.

    Examples
    --------
    >>> is_shown("product.zarr/mass_rate/c/0/0"), is_shown("tables/regions.csv")
    (True, True)
    >>> is_shown("receipts.jsonl"), is_shown("run.yaml"), is_shown("product.icechunk/repo")
    (False, False, False)
    """
    return any(fnmatch.fnmatchcase(path, each) for each in SHOWN)


def is_page(path: str) -> bool:
    """Tell whether a path below a report is part of it, the map apart.

    Examples
    --------
    >>> is_page("index.html"), is_page("tables/altimetry/regions.csv")
    (True, True)
    >>> is_page("report.json"), is_page("gravimetry/run.yaml")
    (False, False)
    """
    return any(fnmatch.fnmatchcase(path, each) for each in PAGES)


def decoded(raw: bytes) -> tuple[str, ...]:
    """Return the steps of a request's path, each decoded once; the last is empty for a folder.

    Steps are parted before they are decoded, so an encoded slash stays within one and is refused.

    Raises
    ------
    PathError
        A path that could lead anywhere but down: ``..``, dot files, empty steps, backslashes, what
        was encoded twice or is no UTF-8; or one that is too long.

    Examples
    --------
    >>> decoded(b"/products/a%20b/tables/x.csv"), decoded(b"/map/")
    (('products', 'a b', 'tables', 'x.csv'), ('map', ''))
    """
    if len(raw) > LONGEST_PATH or not raw.startswith(b"/"):
        msg = f"found a path of {len(raw)} bytes, expected /… of {LONGEST_PATH} at the most"
        raise PathError(msg)
    try:
        steps = tuple(unquote_to_bytes(step).decode() for step in raw[1:].split(b"/"))
    except UnicodeDecodeError as error:
        msg = "found a path that is no UTF-8"
        raise PathError(msg) from error
    for n, step in enumerate(steps):
        is_folder = not step and n == len(steps) - 1
        if not is_folder and (not step or step.startswith(".") or _FORBIDDEN.search(step)):
            msg = f"found the step {step!r} in a path, expected names without . at their front, "
            raise PathError(msg + "without slashes, backslashes or percent signs in them")
    return steps

"""What a file is, by its name: browsers show a page of a bucket only if told that it is one."""

ANY = "application/octet-stream"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".gif": "image/gif",
    ".tif": "image/tiff",
}
"""Media types by suffix."""


def suffix(name: str) -> str:
    """Return the last suffix of a name in small letters, empty where there is none.

    Examples
    --------
    >>> suffix("release/Alder/a.b/MAP.TIF"), suffix("product.zarr/rate/c/0/0")
    ('.tif', '')
    """
    last = name.rpartition("/")[2]
    return last[last.rfind(".") :].lower() if "." in last else ""


def media_type(name: str) -> str:
    """Return the media type of a file by its name.

    Examples
    --------
    >>> media_type("map/index.html"), media_type("c/0/0")
    ('text/html; charset=utf-8', 'application/octet-stream')
    """
    return TYPES.get(suffix(name), ANY)

"""The folder or bucket prefix of a report, which never holds half of one that passes for whole.

The page goes first when a report is written again and comes last, so a reader finds a whole report
or none. What an earlier report left and this one has not goes at the end.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from cluster import object_store
from pipelines.report.outputs import ITEM, Output, ReportError

INDEX = "index.html"
MARK = "report.json"
"""Says that a folder is a report's, which may be replaced."""
MAP = "map"
"""Folder that the map is written into, by its own module."""

_OURS = re.compile(r"(?:tables|figures|provenance)/.+")


class Folder:
    """Where a report goes.

    Parameters
    ----------
    to : str
        Folder or bucket prefix.

    Raises
    ------
    ReportError
        It holds something that is no report.
    """

    def __init__(self, to: str) -> None:
        self.address = object_store.parse(to).url
        self.written: dict[str, int] = {}
        self._before = self._require_free()

    def _require_free(self) -> list[str]:
        """Return what an earlier report left here."""
        found = object_store.list_objects(self.address)
        if MARK in found:
            return found
        held = ITEM if ITEM in found else next(
            (name for name in found if not name.startswith((".", f"{MAP}/"))), None)  # fmt: skip
        if held is not None:
            what = "a product" if held == ITEM else held
            msg = (
                f"{self.address} holds {what} and no earlier report; choose another --to, such as "
                f"{object_store.join(self.address, 'report')}"
            )
            raise ReportError(msg)
        return []

    def begin(self) -> None:
        """Take away the page of an earlier report, and mark the folder as a report's."""
        object_store.delete(object_store.join(self.address, INDEX))
        self._put(MARK, {"whole": False})

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the report."""
        object_store.write_bytes(object_store.join(self.address, path), data)
        self.written[path] = len(data)

    def finish(self, page: bytes, facts: Mapping[str, Any]) -> None:
        """Write the page, then take away what an earlier report left and this one has not."""
        self.write(INDEX, page)
        for path in self._before:
            if _OURS.fullmatch(path) and path not in self.written:
                object_store.delete(object_store.join(self.address, path))
        self._put(MARK, {"whole": True, **facts})

    def _put(self, name: str, facts: Mapping[str, Any]) -> None:
        document = json.dumps({"made_by": "nunatak report", **facts}, indent=1, ensure_ascii=False)
        object_store.write_bytes(object_store.join(self.address, name), f"{document}\n".encode())


def locate(to: str) -> Callable[[Output], str]:
    """Return what tells where a product is, as the map of a report at ``to`` is to ask for it.

    Relative to ``map/index.html`` where both lie below one folder or in one bucket, so that they
    can be moved together; else absolute.
    """
    from cluster import s3_client

    report = object_store.parse(to)

    def placed(output: Output) -> str:
        product = object_store.parse(output.address)
        if report.is_local and product.is_local:
            above = posixpath.dirname(report.path)
            if os.path.commonpath([above, product.path]) == above != "/":
                return quote(posixpath.relpath(product.path, posixpath.join(report.path, MAP)))
            return product.uri
        if not report.is_local and report.bucket == product.bucket:
            here = posixpath.join("/", report.path, MAP)
            return quote(posixpath.relpath(posixpath.join("/", product.path), here))
        if product.is_local:
            return product.uri
        endpoint = s3_client.endpoint()
        if endpoint:
            return f"{endpoint.rstrip('/')}/{product.bucket}/{quote(product.path)}"
        host = f"https://{product.bucket}.s3.{s3_client.region()}.amazonaws.com"
        return f"{host}/{quote(product.path)}"

    return placed

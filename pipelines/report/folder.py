"""The folder or bucket prefix of a report, which never holds half of one that passes for whole.

The mark says first that a report is under way, then its pages go; they come last again, the map's
just before the report's, so a reader finds a whole report or none. What an earlier report left and
this one has not goes at the end.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from cluster import object_store
from pipelines.report.outputs import ITEM, Output, ReportError

INDEX = "index.html"
MARK = "report.json"
"""Says that a folder is a report's, which may be replaced."""
MAP = "map"
"""Folder that the map is written into."""
MAP_PAGE = f"{MAP}/{INDEX}"

_OURS = ("tables", "figures", "provenance", MAP)
"""Folders whose files are a report's own."""


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
        self._map_page: bytes | None = None
        self._before = self._require_free()

    def _at(self, path: str) -> str:
        return object_store.join(self.address, path)

    def _require_free(self) -> list[str]:
        """Return what an earlier report left here."""
        if object_store.exists(self._at(MARK)):
            return [f"{folder}/{name}" for folder in _OURS
                    for name in object_store.list_objects(self._at(folder))]  # fmt: skip
        if (held := self._held()) is not None:
            msg = (
                f"{self.address} holds {held} and no earlier report; choose another --to, such as "
                f"{self._at('report')}"
            )
            raise ReportError(msg)
        return []

    def _held(self) -> str | None:
        """Return something that is no report's, None if there is nothing of the kind.

        A bucket may hold millions of objects, so its folders are asked for first.
        """
        if object_store.exists(self._at(ITEM)):
            return "a product"
        found = [f"{name}/" for name in object_store.list_folders(self.address)]
        passed = (".", f"{MAP}/")
        if held := next((name for name in found if not name.startswith(passed)), None):
            return held
        found = object_store.list_objects(self.address)
        return next((name for name in found if not name.startswith(passed)), None)

    def begin(self) -> None:
        """Mark the folder as that of a report under way, then take away an earlier one's pages."""
        self._put(MARK, {"whole": False})
        for page in (INDEX, MAP_PAGE):
            object_store.delete(self._at(page))

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the report; the map's page is kept until everything else is there."""
        if path == MAP_PAGE:
            self._map_page = data
        else:
            self._write(path, data)

    def _write(self, path: str, data: bytes) -> None:
        object_store.write_bytes(self._at(path), data)
        self.written[path] = len(data)

    def finish(self, page: bytes, facts: Mapping[str, Any]) -> None:
        """Write the pages, then take away what an earlier report left and this one has not."""
        if self._map_page is not None:
            self._write(MAP_PAGE, self._map_page)
        self._write(INDEX, page)
        for path in self._before:
            if path not in self.written:
                object_store.delete(self._at(path))
        self._put(MARK, {"whole": True, **facts})

    def _put(self, name: str, facts: Mapping[str, Any]) -> None:
        document = json.dumps({"made_by": "nunatak report", **facts}, indent=1, ensure_ascii=False)
        object_store.write_bytes(self._at(name), f"{document}\n".encode())


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

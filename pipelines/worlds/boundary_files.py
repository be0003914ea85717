"""Writers of polygons in published formats."""

from pathlib import Path

import geopandas as gpd
import pyogrio

STAMP = "2011-02-01T00:00:00Z"
"""The date that a GeoPackage records of its last change; fixed, so that bytes repeat."""


def write_polygons(table: gpd.GeoDataFrame, path: Path) -> Path:
    """Write regions as a GeoPackage, the same bytes each time.

    Parameters
    ----------
    table : GeoDataFrame
        Columns region, name, group and geometry.
    path : Path
        File to write; one that exists is replaced.

    Returns
    -------
    Path
        The same path.
    """
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": STAMP})
    try:
        table.to_file(path, layer=path.stem, driver="GPKG", engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return path

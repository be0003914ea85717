"""How the release calls maps: folders of shelves and of parts, files by the scenes they show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines import stored
from pipelines.flows import shelf_damage_arrays
from pipelines.kernels.damage import release_names
from pipelines.kernels.damage.release_names import Product, ReleaseName
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

RESTORER = "Nunatak"
"""How names call the restoration; which weights it had stands in the product's provenance."""


class ReleaseError(ValueError):
    """Maps that the release has no place for."""


def folder_of(name: str) -> str:
    """Return the folder of a shelf, which names of files repeat.

    Raises
    ------
    ReleaseError
        If nothing legal can be made of the name.

    Examples
    --------
    >>> folder_of("larsen b"), folder_of("Pine Island"), folder_of("Brunt/Stancomb")
    ('Larsen_b', 'Pine_Island', 'Brunt_Stancomb')
    """
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    made = "_".join(words)
    try:
        return release_names.shelf_name(made[:1].upper() + made[1:])
    except release_names.ReleaseNameError as error:
        msg = f"the shelf {name!r} cannot name files of the release: {error}"
        raise ReleaseError(msg) from error


def is_published(made: zarr.Group) -> bool:
    """Tell whether a summer is covered well enough to be shown."""
    return bool(stored.values(made, "published").all()) if "published" in made else True


def require_folders(group: zarr.Group) -> None:
    """Refuse shelves whose files would overwrite each other's."""
    taken: dict[str, str] = {}
    for shelf in shelf_damage_arrays.shelves(group):
        for year in shelf_damage_arrays.summers(group, shelf):
            made = group_at(group, f"{shelf}/{year}")
            for part in parts_of(made):
                folder = folder_of_part(made, part)
                if taken.setdefault(folder, shelf) != shelf:
                    msg = (
                        f"the shelves {taken[folder]} and {shelf} are both released in {folder}/, "
                        "expected names that differ; rename one of them"
                    )
                    raise ReleaseError(msg)


def parts_of(made: zarr.Group) -> tuple[str, ...]:
    """Return the parts that are told apart, the whole shelf first."""
    told: Any = made.attrs.get("nunatak:parts", [shelf_damage_arrays.WHOLE])
    others = tuple(str(part) for part in told if part != shelf_damage_arrays.WHOLE)
    return (shelf_damage_arrays.WHOLE, *others)


def folder_of_part(made: zarr.Group, part: str) -> str:
    """Return the folder of a shelf or of a part of it."""
    whole = folder_of(str(made.attrs["nunatak:name"]))
    return whole if part == shelf_damage_arrays.WHOLE else release_names.sub_region(whole, part)


def name_of(
    shelf: str, year: int, product: Product, scenes: Sequence[dict[str, Any]]
) -> ReleaseName:
    """Return the name of a map by the scenes that it shows.

    Examples
    --------
    >>> seen = [{"sensors": ["LE07"], "restored": True}, {"sensors": ["LC08"], "restored": False}]
    >>> name_of("Alder", 2013, "extent", seen).file
    'LE07_LC08_Alder_2013_slc_off_Nunatak_damage_map.tif'
    """
    sensors = release_names.sensor_tokens([str(s) for one in scenes for s in one["sensors"]])
    restored = any(scene["restored"] for scene in scenes)
    return ReleaseName(shelf, year, sensors, product, RESTORER if restored else None)


def is_ours(path: str) -> bool:
    """Tell whether a path below the release is one that it names.

    Examples
    --------
    >>> is_ours("Amery/2004/LE07_Amery_2004_damage.tif"), is_ours("Amery/2004/item.json")
    (True, True)
    >>> is_ours("Amery/2004/notes.txt"), is_ours("LE07_Amery_2004_damage.tif")
    (False, False)
    """
    parts = path.split("/")
    if len(parts) != 3 or not re.fullmatch(r"\d{4}", parts[1]):
        return False
    if parts[2] == "item.json":
        return True
    try:
        release_names.parse(path)
    except release_names.ReleaseNameError:
        return False
    return True

"""Links that let anybody read named objects of a private bucket for a while, and nothing else.

A link is a GET of one object, signed with our credentials (Signature Version 4): another method,
another object or a later hour is refused by the store. Nothing is written to the bucket and nothing
is made public. A link cannot be taken back before it ends, except with the credentials that signed
it; one signed with passing credentials (a role, a session) ends with them at the latest.
"""

import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster import object_store, s3_client
from cluster.address import Address

LONGEST = timedelta(days=7)
"""What Signature Version 4 allows."""
MOST_OBJECTS = 20_000
"""Larger lists make a manifest of more than ten megabytes, which no page should load."""


class ShareError(ValueError):
    """Links that cannot be made as they were asked for."""


@dataclass(frozen=True)
class Shared:
    """Signed links to objects below one address.

    Attributes
    ----------
    url : str
        What the names are relative to.
    ends : datetime
        When the links stop working, in UTC.
    links : tuple of (str, str)
        Name and link of each object, sorted by name.
    """

    url: str
    ends: datetime
    links: tuple[tuple[str, str], ...]

    def to_json(self) -> bytes:
        """Return the manifest: what the links are of, until when, and each by its name.

        A reader of Zarr asks it for ``product.zarr/zarr.json`` and the like; ranges of bytes are
        asked of the links themselves.
        """
        ends = self.ends.isoformat(timespec="seconds")
        document = {"of": self.url, "ends": ends, "links": dict(self.links)}
        return (json.dumps(document, indent=1) + "\n").encode()


def share(url: str, patterns: Sequence[str], *, seconds: float) -> Shared:
    """Return signed links to the objects below an address whose names match.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    patterns : sequence of str
        Of names relative to it, as a shell writes them; ``*`` also crosses slashes.
    seconds : float
        How long the links work [s], up to seven days.

    Raises
    ------
    ShareError
        If the address is a path of this machine, nothing matches, or too much does.
    cluster.object_store.StoreError
        If the bucket cannot be listed, or there are no credentials.
    """
    address = object_store.parse(url)
    if address.is_local:
        msg = f"{address.url} is a path of this machine; links are signed for s3://bucket/prefix"
        raise ShareError(msg + ", and `nunatak report` makes pages of local results")
    if not 1.0 <= seconds <= LONGEST.total_seconds():
        msg = f"links for {seconds:g} s cannot be signed; expected 1 s to {LONGEST.days} days"
        raise ShareError(msg)
    names = _matching(object_store.list_objects(address.url), patterns)
    if not names:
        msg = f"{address.url} holds nothing that matches {', '.join(patterns)}; check the address"
        raise ShareError(msg)
    if len(names) > MOST_OBJECTS:
        msg = f"{address.url} has {len(names)} objects to share; expected {MOST_OBJECTS} at the "
        raise ShareError(msg + "most: share a part of it, or store it in larger shards")
    ends = datetime.now(UTC) + timedelta(seconds=int(seconds))
    return Shared(address.url, ends, tuple(_signed(address, names, int(seconds))))


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, each) for each in patterns)]


def _signed(address: Address, names: Iterable[str], seconds: int) -> Iterable[tuple[str, str]]:
    with s3_client.s3_errors(address):
        signer = _signer()
        for name in names:
            place = {"Bucket": address.bucket, "Key": address.join(name).path}
            yield name, signer.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)


def _signer() -> Any:
    """Return a client that signs links with the version whose links end and name their region."""
    import boto3
    from botocore.config import Config

    style = "path" if s3_client.endpoint() else "auto"
    return boto3.session.Session().client(
        "s3",
        endpoint_url=s3_client.endpoint(),
        region_name=s3_client.region(),
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )

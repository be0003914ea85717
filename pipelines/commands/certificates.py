"""``nunatak certificates``: what the nodes of a cluster know each other by."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands.answers import DONE, Answer, common_options

if TYPE_CHECKING:
    from cluster.certificates import Validity


@click.command("certificates")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="Name, address or network (10.77.4.0/24) of nodes. Ray's nodes need it, Dask's do not.",
)
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650))
@click.option("--renew", is_flag=True, help="Sign another certificate with the same authority.")
@click.option("--environment", is_flag=True, help="Only print what other processes must be told.")
@common_options
def certificates_command(
    folder: Path,
    hosts: tuple[str, ...],
    days: int,
    renew: bool,  # noqa: FBT001 - click passes options by name
    environment: bool,  # noqa: FBT001
) -> Answer:
    """Make an authority, one certificate for all nodes and a token for Ray in FOLDER.

    Nothing of them is printed, and nothing is overwritten without --renew. Whoever holds tls.key
    and the token can run any program on the cluster; ca.key stays with you.
    """
    from cluster import certificate_authority, certificates

    folder = folder.expanduser().absolute()
    if environment:
        click.echo("\n".join(_exported(folder)))
        return Answer(DONE, {"environment": certificates.environment(folder)})
    act = certificate_authority.renew if renew else certificate_authority.make
    found = act(folder, hosts=hosts, days=days)
    click.echo("\n".join(_told(folder, found)))
    facts = {"folder": str(folder), "ends": found.ends.isoformat(), "hosts": list(found.hosts)}
    return Answer(DONE, facts)


def _told(folder: Path, found: Validity) -> list[str]:
    """Say what goes where, and until when it holds."""
    from cluster.certificates import FOLDER

    told = f'eval "$(nunatak certificates {shlex.quote(str(folder))} --environment)"'
    shown = ", ".join(found.hosts[:12]) + (" …" if len(found.hosts) > 12 else "")
    return [
        f"{folder}/",
        f"  ca.crt, tls.crt, tls.key  to every node and driver, in a folder that {FOLDER} names",
        "  ray-token                 to every node and driver of Ray, as RAY_AUTH_TOKEN_PATH",
        "  ca.key                    stays here: with it anybody can sign more certificates",
        f"valid until {found.ends:%Y-%m-%d}, for {len(found.hosts)} hosts: {shown}",
        f"renew it before then: nunatak certificates {shlex.quote(str(folder))} --renew",
        f"before `dask scheduler`, `dask worker` and `ray start`: {told}",
    ]


def _exported(folder: Path) -> list[str]:
    from cluster import certificates, dask_cluster, ray_token, settings

    certificates.require_usable(folder)
    named = {
        **dask_cluster.spot_environment(settings.read()),
        **certificates.environment(folder),
        ray_token.MODE: "token",
        ray_token.TOKEN_PATH: str(folder / certificates.RAY_TOKEN),
    }
    return [f"export {name}={shlex.quote(text)}" for name, text in sorted(named.items())]

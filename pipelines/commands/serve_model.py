"""``nunatak serve-model``: a network over HTTP, for one scene on request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from pipelines.commands.answers import DONE, Answer, common_options

if TYPE_CHECKING:
    from pipelines.flows.network_inputs import Weights

MIB = 2**20


@click.command("serve-model")
@click.argument("weights", default="shipped:segmenter-b0")
@click.option("--catalogue", metavar="URL", default="", help="Where COLLECTION/ITEM is.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1))
@click.option("--gpus", default=0.0, show_default=True, help="Share of a GPU for each replica.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--largest", default=512, show_default=True, help="Body of a request [MiB].")
@click.option("--seconds", default=120.0, show_default=True, help="Longest answer [s].")
@click.option("--ray", metavar="ADDRESS", default="local", show_default=True)
@common_options
def serve_model_command(
    weights: str,
    catalogue: str,
    host: str,
    port: int,
    replicas: int,
    gpus: float,
    threads: int,
    largest: int,
    seconds: float,
    ray: str,
) -> Answer:
    """Segment images that are sent: GeoTIFF in, GeoTIFF of probabilities out.

    WEIGHTS is shipped:NAME, or COLLECTION/ITEM of the catalogue. POST an image to /predict, ask
    /health whether the network is open. With NUNATAK_SERVER_TOKEN in the environment callers must
    send it as a bearer token.
    """
    from cluster import gpu_pool, model_server, ray_cluster
    from pipelines.flows import scene_service

    guarded = model_server.require_guarded(host, port)
    job = scene_service.SegmentService(_found(weights, catalogue), threads)
    needs = gpu_pool.Needs(gpus=gpus, threads=threads, actors=replicas, label="serve-model")
    limits = model_server.Limits(body=largest * MIB, seconds=seconds)
    click.echo(f"opening {weights} for {replicas} replicas; this takes half a minute")
    with (
        ray_cluster.connect(ray, workers=replicas + 1) as cluster,
        model_server.served(
            cluster, job, needs=needs, limits=limits, host=host, port=port,
            media_type=scene_service.MEDIA_TYPE,
        ) as address,
    ):  # fmt: skip
        click.echo(f"{address}/predict answers GeoTIFF, {address}/health says whether it can")
        token = f' -H "Authorization: Bearer ${model_server.TOKEN}"' if guarded else ""
        click.echo(f"try: curl{token} --data-binary @scene.tif {address}/predict -o p.tif")
        _wait()
    return Answer(DONE, {"address": address})


def _found(weights: str, catalogue: str) -> Weights:
    from pipelines.flows import network_inputs

    found = network_inputs.resolve(catalogue, (), {"weights": weights}).weights["weights"]
    # Opened once here, so that what cannot be served is refused before replicas start.
    network_inputs.opened(found, role="weights", task="segmentation")
    return found


def _wait() -> None:
    """Wait until somebody ends it."""
    try:
        while True:
            time.sleep(3600.0)
    except KeyboardInterrupt:
        click.echo("ended")

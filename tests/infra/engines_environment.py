"""The environment of every Dask and Ray process in a cluster, as our own code would set it.

``python -m tests.infra.engines_environment`` writes it to infra/kubernetes/base/engines.env.
"""

from cluster import certificates, dask_cluster
from cluster.settings import ClusterSettings
from tests.infra.rendering import KUBERNETES

FILE = KUBERNETES / "base" / "engines.env"
_HEAD = "# What our own clusters set; `python -m tests.infra.engines_environment` writes it.\n"


def expected() -> dict[str, str]:
    """Return what the file must hold."""
    return {
        **dask_cluster.spot_environment(ClusterSettings()),
        **certificates.environment("/etc/nunatak/tls"),
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def written() -> dict[str, str]:
    """Return what it holds."""
    lines = FILE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


if __name__ == "__main__":
    FILE.write_text(_HEAD + "".join(f"{name}={value}\n" for name, value in expected().items()))

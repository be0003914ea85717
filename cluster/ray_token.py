"""The token that Ray asks for, from the environment or from where that points.

Every process of a cluster has ``RAY_AUTH_MODE=token`` and the same ``RAY_AUTH_TOKEN`` (or
``RAY_AUTH_TOKEN_PATH``, by default ``ray-token`` in the folder of certificates); another one is
refused. Ray reads both once for each process and keeps them, and where a runtime
starts without one it writes a token into the home folder: here they are read anew for each
connection, and a runtime of our own gets a token that lives as long as it does. A token is never
logged (:func:`cluster.redaction.redact`) and never written to a file of ours.
"""

import os
import secrets
from pathlib import Path
from typing import Any

from cluster import certificates
from cluster.dask_cluster import ClusterError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
# How Ray says in any of its logs and errors that it refused a token.
_REFUSALS = ("InvalidAuthToken", "AuthenticationError")


def make_for_local() -> None:
    """Put a new token into the environment for a runtime of our own, unless there is a choice.

    The caller removes it again when the runtime has ended.
    """
    chosen = os.environ.get(TOKEN) or os.environ.get(TOKEN_PATH)
    if not chosen and os.environ.get(MODE, "token") == "token":
        os.environ[TOKEN] = secrets.token_hex(32)
    read_from_environment()


def read_from_environment() -> None:
    """Let Ray forget the mode and the token that it read for an earlier connection.

    A token without a mode means ``RAY_AUTH_MODE=token``.

    Raises
    ------
    ClusterError
        If ``RAY_AUTH_TOKEN_PATH`` names no file that can be read.
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    folder = certificates.folder()
    if folder is not None and not _is_held() and (folder / certificates.RAY_TOKEN).is_file():
        os.environ[TOKEN_PATH] = str(folder / certificates.RAY_TOKEN)
    if os.environ.get(TOKEN_PATH) and not os.environ.get(TOKEN):
        _require_readable(Path(os.environ[TOKEN_PATH]))
    if _is_held():
        os.environ.setdefault(MODE, "token")
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _is_held() -> bool:
    return bool(os.environ.get(TOKEN) or os.environ.get(TOKEN_PATH))


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        msg = (
            f"{TOKEN_PATH} is {path}: {error.strerror}; it must name a file with the token of the "
        )
        raise ClusterError(msg + "cluster, as `nunatak certificates FOLDER` makes one") from error


def require_accepted(address: str, target: str, timeout: float) -> None:
    """Refuse a client server that refuses our token; Ray itself would go on asking it for long.

    Parameters
    ----------
    address : str
        As the user wrote it.
    target : str
        Its ``host:port``.
    timeout : float
        For the answer [s]; what does not answer is for the caller to find out.
    """
    import grpc  # type: ignore[import-untyped]
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated import ray_client_pb2_grpc
    from ray.core.generated.ray_client_pb2 import (  # type: ignore[attr-defined]
        ClusterInfoRequest,
        ClusterInfoType,
    )

    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    make_stub: Any = ray_client_pb2_grpc.RayletDriverStub
    with init_grpc_channel(target) as channel:
        try:
            make_stub(channel).ClusterInfo(
                ClusterInfoRequest(type=ClusterInfoType.PING), timeout=timeout
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise _refused(address) from error


def require_not_refused(address: str, said: str) -> None:
    """Raise if what Ray said of a connection is that it refused our token."""
    if any(word in said for word in _REFUSALS):
        raise _refused(address)


def _refused(address: str) -> ClusterError:
    held = "another one" if _is_held() else "none in its environment"
    msg = f"{address}: this Ray cluster demands its token, and this process has {held}; set "
    msg += f"{MODE}=token and {TOKEN} to the token that the cluster was started with (or "
    msg += f"{TOKEN_PATH} to a file of it)"
    return ClusterError(msg)

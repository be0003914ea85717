"""The driver's Job on Kubernetes, and what its pods print, one pod after another.

Pods go: nodes are drained, preempted and lost. What went is no answer and no error; the next look
finds the pod that came after it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from cluster.kubernetes_manifests import DRIVER

logger = logging.getLogger(__name__)

_SAID_EVERY = 30.0  # [s]
# A quiet driver's log is asked for anew: a connection that something on the way has forgotten would
# be waited for without end.
_QUIET = 120.0  # [s]
_NO_RIGHTS = (401, 403)
_TOO_MANY = 429
_OF_THE_SERVER = 500


def unanswered(error: BaseException) -> bool:
    """Return whether an error says that the cluster did not answer, and not what it answered."""
    import httpx
    import kr8s

    if isinstance(error, BrokenPipeError):
        return False  # nobody reads what we say
    if isinstance(error, kr8s.ServerError):
        status = _status(error)
        return status == _TOO_MANY or status >= _OF_THE_SERVER
    gone = (httpx.HTTPError, OSError, kr8s.APITimeoutError, kr8s.ConnectionClosedError)
    return isinstance(error, gone)


async def find(api: Any, namespace: str) -> Any | None:
    """Return the driver's Job as it is now, or None."""
    import kr8s
    from kr8s.asyncio.objects import Job

    found = Job({"metadata": {"name": DRIVER, "namespace": namespace}}, api=api)
    try:
        await found.refresh()
    except kr8s.NotFoundError:
        return None
    return found


def ending(job: Any) -> str:
    """Return ``Complete`` or ``Failed`` of a job that has ended, or nothing."""
    status = job.raw.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["type"])
    return ""


class Reader:
    """Reads what one driver's pods print, one pod after another, each line once.

    Parameters
    ----------
    api : kr8s.Api
        The cluster.
    namespace : str
        Where the driver is.
    say : callable
        Gets each line.
    """

    def __init__(self, api: Any, namespace: str, say: Callable[[str], None]) -> None:
        self.status: int | None = None
        self._api = api
        self._namespace = namespace
        self._say = say
        self._last: dict[str, str] = {}
        self._said = ("", -_SAID_EVERY)

    async def read(self, *, suspended: bool) -> None:
        """Read the newest pod for as long as it prints, or say what it waits for."""
        import kr8s

        pod = await self._newest()
        if pod is None:
            self._wait("the queue lets it begin" if suspended else "its pod")
            return
        phase = pod.raw.get("status", {}).get("phase", "Pending")
        if phase == "Pending":
            self._wait(_reason(pod))
            return
        whole = await self._read_lines(pod)
        try:
            await pod.refresh()
        except kr8s.NotFoundError:
            return  # its node was drained; the Job makes another
        ended = _terminated(pod)
        if ended is not None:
            if not whole:
                await self._read_lines(pod)
            self.status = ended

    async def _newest(self) -> Any | None:
        from kr8s.asyncio.objects import Pod

        selector = {"batch.kubernetes.io/job-name": DRIVER}
        listed = Pod.list(namespace=self._namespace, label_selector=selector, api=self._api)
        found: list[Any] = [each async for each in listed]
        return max(found, key=lambda each: each.metadata.creationTimestamp, default=None)

    async def _read_lines(self, pod: Any) -> bool:
        """Print from the line on that came last; return whether the log was read to its end.

        A connection may end before the pod does, and a pod that goes takes its log along.
        """
        last = self._last.get(pod.name, "")
        try:
            async for line in pod.logs(
                follow=True, timestamps=True, timeout=_QUIET, since_time=last or None
            ):
                stamp, _, text = line.partition(" ")
                if stamp > last:
                    last = self._last[pod.name] = stamp
                    self._say(text)
        except Exception as error:
            if not unanswered(error) and _status(error) in {0, *_NO_RIGHTS}:
                raise
            logger.debug("kubernetes: the log of %s broke off: %s", pod.name, error)
            return False
        return True

    def _wait(self, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        before, when = self._said
        if reason != before or now - when >= _SAID_EVERY:
            self._said = (reason, now)
            logger.info("kubernetes: the driver waits for %s", reason)


def _status(error: BaseException) -> int:
    """Return what the server answered, or 0."""
    response = getattr(error, "response", None)
    return 0 if response is None else int(response.status_code)


def _reason(pod: Any) -> str:
    """Return why a pod has not begun."""
    status = pod.raw.get("status", {})
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return f"its image or settings: {waiting['reason']}: {waiting.get('message', '')}"
    conditions = [each for each in status.get("conditions", ()) if each.get("status") == "False"]
    return "a node" + "".join(f": {each['message']}" for each in conditions if each.get("message"))


def _terminated(pod: Any) -> int | None:
    for container in pod.raw.get("status", {}).get("containerStatuses", ()):
        ended = container.get("state", {}).get("terminated")
        if ended is not None:
            return int(ended["exitCode"])
    return None

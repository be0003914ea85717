"""How long a service that throttles or stumbles is asked again: some seconds, never for ever."""

from urllib3 import BaseHTTPResponse
from urllib3.util.retry import Retry

THROTTLED = (429, 502, 503, 504)
LONGEST_WAIT_S = 20.0
"""What a server asks for beyond this is cut: whoever waits has other work [s]."""


class BoundedRetry(Retry):
    """Retries that heed Retry-After, up to `LONGEST_WAIT_S`."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return how long the server asks to wait [s], cut to the longest wait."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_WAIT_S)


def bounded_retry() -> BoundedRetry:
    """Return retries of any method: waits of 0, 0.6, 1.2, 2.4, 4.8 s, or what the server asks for.

    Searches are sent by POST but change nothing, so all may be asked again. An address where
    nobody answers is given up after two tries.
    """
    return BoundedRetry(
        total=5,
        connect=1,
        backoff_factor=0.3,
        status_forcelist=THROTTLED,
        allowed_methods=None,
    )

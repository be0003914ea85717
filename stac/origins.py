"""Which server an address is of."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address; empty if it has none.

    >>> origin("HTTPS://A.org/stac") == origin("https://a.org:443/other")
    True
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None
    return parts.scheme, parts.hostname or "", port


def is_same_server(one: str, other: str) -> bool:
    """Tell whether two addresses are of one server: http and https of a host by default are.

    >>> is_same_server("http://a.org/x", "https://a.org/y")
    True
    >>> is_same_server("http://a.org:8080/x", "https://a.org/y")
    False
    """
    first, second = origin(one), origin(other)
    return first == second or (
        first[1] == second[1] != ""
        and all(_PORTS.get(each[0]) == each[2] is not None for each in (first, second))
    )

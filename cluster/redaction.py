"""What is secret in a text, and the text without it, for logs, errors, run files and reports."""

import os
import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "***"

CREDENTIAL_PARAMETERS: Final = frozenset({
    "sig", "signature", "key", "token", "access_token", "id_token", "subscription-key",
    "ocp-apim-subscription-key", "functions-key", "apikey", "api_key", "api-key",
    "awsaccesskeyid", "googleaccessid", "x-amz-signature", "x-amz-credential",
    "x-amz-security-token", "x-goog-signature", "x-goog-credential",
})  # fmt: skip
"""Names of a URL's query that carry a credential, in lower case."""

_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE_KEY|API_?KEY|ACCESS_KEY", re.IGNORECASE
)
# Up to the last @ before the path: a password may hold one. With a colon that begins no port, a
# slash too: keys of Amazon do.
_USERINFO = re.compile(
    r"(?P<scheme>\b[A-Za-z][\w+.-]{0,31}://)"
    r"(?:[^/\s?#\"'<>]{0,512}|[^/\s@:\[]{1,256}:(?!\d{1,5}[/?#])[^\s?#@\"'<>]{0,512})@"
)
_PARAMETER = re.compile(
    rf"(?P<name>[?&;](?:{'|'.join(sorted(map(re.escape, CREDENTIAL_PARAMETERS)))})=)"
    r"[^\s\"'&;,#<>]+",
    re.IGNORECASE,
)
_SCHEMES = "(?i:basic|bearer|digest|negotiate)"
_BEARER = re.compile(
    r"(?P<name>\bBearer\s{1,8}|(?i:\bauthorization)[\"']?\s{0,8}[:=]\s{0,8}[\"']?"
    rf"(?:{_SCHEMES}\s{{1,8}})?)(?!{_SCHEMES}\b)[\w.~+/=-]{{6,}}"
)
_ASSIGNED = re.compile(
    r"(?P<name>(?:secret|password|passwd|token|api_?key|access_key)[\w.-]{0,32}[\"']?\s{0,8}[=:]"
    r"\s{0,8}[\"']?)(?P<value>[^\s\"'&;,]+)",
    re.IGNORECASE,
)
# Shorter values (a region, "true", "1") would blank ordinary words out of every message.
_SHORTEST_SECRET = 6


def is_secret(name: str) -> bool:
    """Return whether a name, of a variable or a field, says that its value is secret.

    >>> is_secret("AWS_SECRET_ACCESS_KEY"), is_secret("AWS_REGION")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return ``text`` without secrets.

    Hidden are the values of environment variables whose names say that they are secret; user names
    and passwords inside URLs, and signatures and keys in their queries; what follows ``Bearer``;
    and values assigned to a name such as ``token=`` or ``password:``.

    Parameters
    ----------
    text : str
        Anything that people or files get to see.
    environment : mapping, optional
        By default that of this process.

    Examples
    --------
    >>> redact("PUT http://ann:hunter2@store:9000/ice?X-Amz-Signature=3fa8", {})
    'PUT http://***@store:9000/ice?X-Amz-Signature=***'
    >>> redact("tried with wJalrXUtn", {"AWS_SECRET_ACCESS_KEY": "wJalrXUtn"})
    'tried with ***'
    """
    source = os.environ if environment is None else environment
    named = (value for name, value in source.items() if is_secret(name))
    secrets = {value for value in named if len(value) >= _SHORTEST_SECRET}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    for pattern in (_PARAMETER, _BEARER, _ASSIGNED):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return text

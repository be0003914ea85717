"""What is secret never shows, and what is not stays as it is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.redaction import CREDENTIAL_PARAMETERS, HIDDEN, redact
from stac import signing


@given(st.text("abcdefXYZ0123456789/+=", min_size=6, max_size=60))
def test_no_secret_of_the_environment_survives(secret):
    environment = {"AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    text = redact(f"signed <{secret}> in us-east-1", environment)
    assert f"<{secret}>" not in text
    assert "us-east-1" in text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://ann:hunter2@store/ice", "hunter2"),
        ("https://ann:hun@ter2@store/ice", "ter2"),
        ("s3://AKIA123:hunter2@ice/x", "hunter2"),
        ("s3://AKIA123:wJalr/hunter2+x@ice/x", "hunter2"),
        ("password=hunter2;", "hunter2"),
        ('{"aws_secret_access_key": "hunter2"}', "hunter2"),
        ("AWS_SESSION_TOKEN: hunter2", "hunter2"),
        ("GET /ice?X-Amz-Credential=AKIA123%2Fus&X-Amz-Signature=3fa8", "3fa8"),
        ("https://a.blob.example/c?sv=2020&sig=hunter2%3D", "hunter2"),
        ("https://ice.example/c?AWSAccessKeyId=AKIA1&Signature=hunter2", "hunter2"),
        ("https://ice.example/c?AWSAccessKeyId=AKIA1&Signature=hunter2", "AKIA1"),
        ("https://ice.example/stac?subscription-key=hunter2", "hunter2"),
        ("https://ice.example/stac?lang=en&KEY=hunter2", "hunter2"),
        ("asked with Bearer hunter2hunter2", "hunter2"),
        ("{'Authorization': 'Basic aHVudGVyMg=='}", "aHVudGVyMg"),
        ("authorization: bearer hunter2hunter2", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text, hidden):
    redacted = redact(text, {})
    assert hidden not in redacted
    assert HIDDEN in redacted
    assert redact(redacted, {}) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "token-free text",
        "s3://ice/out",
        "mail ann@example.org",
        "degree 60: 12 keys",
        "http://127.0.0.1:8080/ice@2011/x",
        "https://ice.example/stac/search?limit=10&sortby=id",
        "key=fit/2011-02 failed",
        "the bearer of bad news",
        "http://[::1]:9000/a@b",
    ],
)
def test_ordinary_words_stay(text):
    assert redact(text, {}) == text


@pytest.mark.parametrize("word", ["token", "a", "://", "x://a:", "Bearer ", "sig=", "&sig=a"])
def test_no_text_takes_long(word):
    """A stranger chooses what an error quotes: time grows with its length, not with its square."""

    def seconds(count):
        begun = time.process_time()
        redact(word * count, {})
        return time.process_time() - begun

    assert seconds(64_000) < 16 * max(seconds(8_000), 0.02)


def test_short_values_do_not_blank_ordinary_words():
    assert redact("true story", {"MY_TOKEN": "true"}) == "true story"


def test_what_catalogues_take_for_a_signature_is_hidden_too():
    """The packages know nothing of each other, so each has its list."""
    assert signing.SECRETS <= CREDENTIAL_PARAMETERS

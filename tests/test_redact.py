"""No secret survives masking, and what is no secret stays readable."""

import json
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.redact import MASK, names_a_secret, redact, redact_text

SECRET_KEYS = [
    "token", "TOKEN", "refresh_token", "refreshToken", "accesstoken", "page-token", "secret", "client_secret",
    "clientSecret", "CLIENT-SECRET", "password", "Password", "db.password", "passwd", "pass", "smtp_pass",
    "api_key", "apikey", "apiKey", "APIKey", "API-KEY", "x-api-key", "private_key", "privateKey",
    "private_key_id", "credential", "credentials", "credentials_file", "authorization", "proxyAuthorization",
    "access_key", "aws_secret_access_key", "cookie", "set-cookie", "dsn", "sentry_dsn", "sentryDSN", "auth",
    "basicAuth", "key", "pwd", "bearer", "to_ken", "github_pat", "PAT", "sas_url", "azureSas", "otp", "pin",
    "card_pin", "totp", "psk", "connection_string", "ConnectionString", "conn_str", "webhook_url",
    "slackWebhook", "service_account_json", "AccountKey", "SharedAccessKey", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "session_key", "license_key", "app_key", "sessionid", "PGPASSWORD",
]  # fmt: skip
OPEN_KEYS = [
    "idem_key", "idemKey", "key_properties", "primary_key", "primaryKey", "keys", "since", "until", "source",
    "source_system", "object_type", "path", "author", "passenger", "compass", "bypass_cache", "design",
    "monkey", "keyboard", "batch_size", "url", "dataset", "", "tokenizer", "tokenized", "path", "pattern",
    "spinner", "pinned", "sasl_mechanism", "service_account", "public_key", "sort_key", "key_fn", "turnkey",
    "opinion", "compatible", "subject", "account", "query", "labels",
]  # fmt: skip
SECRET = st.text("XYZ0123456789", min_size=6, max_size=12)
HARMLESS = st.none() | st.booleans() | st.integers(0, 99) | st.text("abc /:@?&=-", max_size=8)


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_key_names_a_secret(key: str) -> None:
    assert names_a_secret(key)
    assert redact({key: "hunter2"}) == {key: MASK}
    assert redact({key: {"nested": ["hunter2"]}}) == {key: MASK}


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_key_names_no_secret(key: str) -> None:
    assert redact({key: "value"}) == {key: "value"}


def test_an_unset_secret_is_seen_to_be_unset() -> None:
    assert redact({"token": None, "password": ""}) == {"token": None, "password": MASK}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://user:pw@host:5432/db", "postgres://***@host:5432/db"),
        ("https://ghp_1@github.com/a", "https://***@github.com/a"),
        ("postgres://u:p/w@host/db", "postgres://***@host/db"),
        ("postgres://u:p@w@host/db", "postgres://***@host/db"),
        ("see imap://u:p@host and imap://v:q@host", "see imap://***@host and imap://***@host"),
        ("https://host/path?token=abc&page=2", "https://host/path?token=***&page=2"),
        ("https://host/path?page=2&api_key=abc", "https://host/path?page=2&api_key=***"),
        ("https://host/path?key=abc#x", "https://host/path?key=***"),
        ("https://host/?to%6ben=abc", "https://host/?to%6ben=***"),
        ("host=db password=abc user=me", "host=db password=*** user=me"),
        ("host=db password='a b' user=me", "host=db password=*** user=me"),
        ("--client-secret=abc", "--client-secret=***"),
        ("https://host:443/path/@handle", "https://host:443/path/@handle"),
        ("https://host/path/@handle", "https://host/path/@handle"),
        ("duckdb:///a/b.duckdb", "duckdb:///a/b.duckdb"),
        ("someone@example.org", "***"),
        ("bigquery://project/dataset?location=EU", "bigquery://project/dataset?location=EU"),
        ("a=b c==d ==", "a=b c==d =="),
        ("Server=h;User=me;Password=abc;x=y z", "Server=h;User=me;Password=*** z"),
        ("Name=x;AccountKey=ab/cd==;Suffix=y", "Name=x;AccountKey=***"),
        ("user=a,password=b", "user=a,password=***"),
        ('{"user": "me", "client_secret":"a\\"b", "n": 1}', '{"user": "me", "client_secret":"***", "n": 1}'),
        ("{'password': 'abc', 'host': 'h'}", "{'password': '***', 'host': 'h'}"),
        ('{"password": "cut off', '{"password": "***"'),
        ("Authorization: Bearer abcdefgh1234", "Authorization: ***"),
        ("https://hooks.slack.com/services/T0/B0/abc for all", "https://*** for all"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE cut off", "***"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
        ("token: is missing", "token: is missing"),
    ],
)
def test_credentials_in_strings(text: str, masked: str) -> None:
    assert redact_text(text) == masked
    assert redact({"a": [{"b": (text,)}]}) == {"a": [{"b": [masked]}]}


LOOKS = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_0123456789abcdefghij_ABCDEFGH", "glpat-0123456789abcdefghij", "sk_live_0123456789abcdef",
    "rk_test_0123456789abcdef", "whsec_0123456789abcdefghij", "ya29.a0AfB_0123456789-abc",
    "AIzaSyA0123456789abcdefghijABCDEFGHIJ01", "1//0gABCDEF0123456789-abcdef", "4/0AdQt8qh0123456789abc",
    "GOCSPX-0123456789abcdefghij", "xoxb-0123456789-abcdef", "xapp-1-A0123-456", "AKIA0123456789ABCDEF",
    "sk-proj-0123456789abcdefghij", "hf_0123456789abcdefghijABCD", "npm_0123456789abcdefghijABCD",
    "pypi-AgEIcHlwaS5vcmc0123456789", "SG.0123456789abcdefghij.0123456789abcdefghij",
]  # fmt: skip


@pytest.mark.parametrize("secret", LOOKS)
@pytest.mark.parametrize(
    "text", ["{}", "refused: {}", 'said "{}", and left', "x={};y=1", "/a/b?c={}#d", "({})"]
)
def test_what_looks_like_a_secret_is_masked_whatever_it_is_called(secret: str, text: str) -> None:
    shown = redact({"note": [text.format(secret)]})["note"][0]

    assert secret[8:] not in shown
    assert MASK in shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "gmail_ingest_acct1-20251124143000", "tap-gmail--acct1-personal:email:136decf0893e8a9f",
        "risk-averse", "/home/me/Takeout/All mail Including Spam and Trash.mbox", "desk-top",
        "https://host/1//2", "mail/1//x",
        "subject:invoice has:attachment -in:chats", "sk-1", "0190b5d2-7c1e-7bb0-9a3e-2f1c9d0e4a55",
        "4/0", "ya29",
        "https://www.googleapis.com/auth/gmail.readonly", "Bearer of news", "events_dev.raw_objects",
    ],
)  # fmt: skip
def test_what_only_resembles_one_stays_readable(text: str) -> None:
    assert redact_text(text) == text


def test_credentials_in_keys_and_paths() -> None:
    assert redact({"imap://u:p@host": Path("x://u:p@host")}) == {"imap://***@host": "x:/u:p@host"}


def test_values_of_parameters() -> None:
    parameters = {
        "since": datetime(2025, 11, 20, tzinfo=UTC),
        "day": date(2025, 11, 20),
        "at": time(12, 30),
        "path": Path("a/b"),
        "colour": Colour.RED,
        "numbers": [1, 1.5, float("nan"), 2**70],
        "flags": (True, None),
        "table": {"rows": []},
    }

    assert redact(parameters) == {
        "since": "2025-11-20T00:00:00+00:00",
        "day": "2025-11-20",
        "at": "12:30:00",
        "path": "a/b",
        "colour": "red",
        "numbers": [1, 1.5, "nan", "<int>"],
        "flags": [True, None],
        "table": {"rows": []},
    }


def test_value_of_an_unknown_type_is_only_named() -> None:
    class Login:
        def __repr__(self) -> str:
            return "hunter2"

    assert redact({"x": Login(), "y": b"hunter2", "z": {"hunter2"}}) == {
        "x": "<Login>",
        "y": "<bytes>",
        "z": "<set>",
    }


def test_the_copy_is_deep() -> None:
    inner: dict[str, Any] = {"list": [1]}
    copy = redact({"inner": inner})
    copy["inner"]["list"].append(2)

    assert inner == {"list": [1]}


def test_undecodable_bytes_of_a_command_line_can_be_written() -> None:
    assert redact({"path": "a\udcff"}) == {"path": "a\\udcff"}


def test_long_texts_take_linear_time() -> None:
    text = "a" * 200_000
    assert redact_text(f"{text}://{text}@{text}=") == f"{text}://{MASK}@{text}="
    for piece in (
        "eyJa.",
        '"a":"',
        "'a':'",
        "a=",
        "-----BEGIN PRIVATE KEY",
        "1//",
        "4/0",
        "://a:",
        "Bearer ",
    ):
        redact_text(piece * 20_000)


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
        ),
        max_leaves=6,
    )


@given(secret=SECRET, key=st.sampled_from(SECRET_KEYS), data=st.data())
def test_no_secret_survives(secret: str, key: str, data: st.DataObject) -> None:
    under_key = nested(st.just(secret)).map(lambda value: {key: value})
    in_url = st.sampled_from(
        [
            f"https://me:{secret}@host/p",
            f"https://{secret}@host",
            f"x imap://{secret}:pw@h y",
            f"https://host/p?a=1&{key}={secret}&b=2",
            f"{key}={secret}",
            f"a=b;{key}={secret};c=d",
            json.dumps({"a": 1, key: secret}),
            str({key: secret, "b": None}),
        ]
    )
    parameters = data.draw(st.dictionaries(st.text("ab", max_size=2), nested(HARMLESS | under_key | in_url)))

    assert secret not in json.dumps(redact(parameters), allow_nan=False)


@given(parameters=st.dictionaries(st.text(), nested(HARMLESS | st.floats() | st.datetimes() | st.binary())))
def test_masking_twice_changes_nothing(parameters: dict[str, Any]) -> None:
    once = redact(parameters)

    assert redact(once) == once
    json.dumps(once, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail/jane.doe+x@example.co.uk.mbox", "mail/***"),
        ("Takeout of jane@example.com, 2025", "Takeout of ***, 2025"),
        ("user@localhost", "user@localhost"),
        ("examples/mail/takeout.mbox", "examples/mail/takeout.mbox"),
    ],
)
def test_a_mail_address_is_not_shown(text: str, shown: str) -> None:
    assert redact({"path": [text]}) == {"path": [shown]}

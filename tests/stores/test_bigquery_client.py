"""Who asks BigQuery, where, and how often: what the URL and the environment make of the client.

Nothing is sent, but to a proxy.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import Forbidden, ServiceUnavailable
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account
from requests.exceptions import ReadTimeout

from lorchestra.errors import ConfigError, StoreAuthError
from lorchestra.store_url import BigQueryUrl
from lorchestra.stores.bigquery_client import Connection, make_client

ROBOT = "robot@my-project.iam.gserviceaccount.com"
LOGIN = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """The key file of a service account, as Google gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    content = {
        "type": "service_account",
        "project_id": "another-project",
        "private_key_id": "1",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "client_email": ROBOT,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `gcloud auth application-default login` leaves, where Google's library looks for it."""
    path = tmp_path / "login.json"
    path.write_text(json.dumps(LOGIN))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return path


def test_a_key_file_is_who_asks(key_file: str) -> None:
    """The account is the file's, the project and the location are the URL's."""
    client = make_client(BigQueryUrl(project="my-project", credentials=key_file, location="EU"))
    assert isinstance(client._credentials, service_account.Credentials)
    assert client._credentials.service_account_email == ROBOT
    assert (client.project, client.location) == ("my-project", "EU")


def test_a_login_is_who_asks_without_a_key_file(login: Path) -> None:
    """Application Default Credentials, the quota charged to the project that is named."""
    client = make_client(BigQueryUrl(project="my-project", quota_project="payer"))
    assert isinstance(client._credentials, oauth2.Credentials)
    assert client._credentials.quota_project_id == "payer"


def test_a_login_file_may_be_named_too(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credentials` takes what a person's login left as well."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    client = make_client(BigQueryUrl(project="my-project", credentials=str(login)))
    assert isinstance(client._credentials, oauth2.Credentials)


def test_a_service_account_may_be_acted_as(login: Path) -> None:
    """Impersonation takes the login as its source."""
    client = make_client(BigQueryUrl(project="my-project", impersonate=ROBOT))
    assert isinstance(client._credentials, impersonated_credentials.Credentials)
    assert client._credentials.service_account_email == ROBOT


@pytest.mark.parametrize("host", ["http://127.0.0.1:9050", "127.0.0.1:9050"])
def test_an_emulator_needs_nobody(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """With BIGQUERY_EMULATOR_HOST no credentials are looked for, with or without `http://`."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", host)
    client = make_client(BigQueryUrl(project="p", credentials="/nowhere.json"))
    assert isinstance(client._credentials, AnonymousCredentials)
    assert client._connection.API_BASE_URL == "http://127.0.0.1:9050"


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that passes nothing on: where it listens, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_proxy_is_followed_and_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, proxy: tuple[str, list[str]]
) -> None:
    """What the environment says when the client is made holds for all of its calls."""
    address, asked = proxy
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://bigquery.invalid")
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = make_client(BigQueryUrl(project="p"))
    monkeypatch.delenv("HTTP_PROXY")
    for _ in range(2):
        assert list(client.list_datasets(retry=None)) == []
    assert len(asked) == 2
    assert all(one.startswith("http://bigquery.invalid/bigquery/v2/projects/p/datasets") for one in asked)
    client.close()


def test_a_host_that_is_no_matter_of_the_proxy_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch, proxy: tuple[str, list[str]]
) -> None:
    """NO_PROXY and a company's certificates hold as for every other program."""
    address, asked = proxy
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", address)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/certificates.pem")
    client = make_client(BigQueryUrl(project="p"))
    assert list(client.list_datasets(retry=None)) == []
    assert asked
    assert client._http.verify == "/certificates.pem"
    client.close()


@pytest.mark.parametrize(
    "content", [None, "", "{}", "[]", '{"type": "external"}', '{"type": "service_account"}']
)
def test_a_file_that_is_no_key_is_said_without_its_content(tmp_path: Path, content: str | None) -> None:
    """The place is for the terminal; the message holds neither path nor content."""
    path = tmp_path / "secret-name.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match="credentials: no key file") as caught:
        make_client(BigQueryUrl(project="p", credentials=str(path)))
    assert "secret-name" not in caught.value.message
    assert caught.value.place == str(path)


def test_no_credentials_at_all_is_a_login_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next step is the command that logs in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(StoreAuthError) as caught:
        connection(1).client.list_datasets()
    assert "gcloud auth application-default login" in str(caught.value.next_step)


# What is repeated


def connection(seconds: float) -> Connection:
    return Connection(BigQueryUrl(project="p"), retry_seconds=seconds)


def test_a_call_that_hung_is_repeated() -> None:
    """The time for repetitions begins when the call failed, not when it was made."""
    asked: list[float] = []

    def hang_once() -> str:
        asked.append(time.monotonic())
        if len(asked) == 1:
            time.sleep(0.6)
            raise ReadTimeout
        return "answer"

    assert connection(0.5).retry(hang_once)() == "answer"
    assert len(asked) == 2


def test_repetitions_come_to_an_end() -> None:
    """What never passes is told as it was at the end."""
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise ServiceUnavailable(f"number {len(asked)}")

    with pytest.raises(ServiceUnavailable, match=r"number [3-6]$"):
        connection(2).retry(fail)()


def test_a_refusal_is_not_repeated() -> None:
    """Only what may pass is asked for again."""
    asked: list[int] = []

    def refuse() -> None:
        asked.append(1)
        raise Forbidden("no")

    with pytest.raises(Forbidden):
        connection(5).retry(refuse)()
    assert asked == [1]

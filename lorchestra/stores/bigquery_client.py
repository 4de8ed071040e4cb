"""The client of the BigQuery service: who asks, where, how long a call may take, and what is repeated."""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import google.auth
from google.api_core.client_info import ClientInfo
from google.api_core.client_options import ClientOptions
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from lorchestra.environment import environment
from lorchestra.errors import ConfigError
from lorchestra.store_url import BigQueryUrl
from lorchestra.stores.bigquery_errors import SERVICE_ERRORS, is_transient, service_errors

#: One call may take so long before it counts as lost.
CALL_SECONDS = 60.0
#: A job that the service took may wait and run so long.
JOB_SECONDS = 1800.0

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)
#: Names an emulator to use instead of the service.
EMULATOR_VARIABLE = "BIGQUERY_EMULATOR_HOST"

T = TypeVar("T")

# The libraries for authorization have no types.
_anonymous_credentials: Any = AnonymousCredentials
_client_info: Any = ClientInfo
_READERS: Mapping[str, Any] = MappingProxyType(
    {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": oauth2.Credentials.from_authorized_user_info,
    }
)
_impersonated_credentials: Any = impersonated_credentials.Credentials


class Repetitions:
    """The waits before a call is repeated, each longer than the one before, for some seconds in all.

    The time begins at the first failure, as the call itself may have taken long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: float | None = None
        self._wait = _FIRST_WAIT

    def wait(self) -> bool:
        """Wait before one more; False, at once, when the time for that is over."""
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._seconds
        if now + self._wait >= self._ends:
            return False
        jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads waiting processes, hides nothing
        time.sleep(self._wait * jitter)
        self._wait = min(self._wait * 2, _LONGEST_WAIT)
        return True

    def begin_anew(self) -> None:
        """Something was achieved: what fails after that has all the time again."""
        self._ends = None
        self._wait = _FIRST_WAIT


class Connection:
    """A client, made at its first use, with the policy that all calls share.

    `retry` repeats a call that is safe to repeat, as long as its errors are transient, for some seconds.
    """

    def __init__(
        self, target: BigQueryUrl, *, retry_seconds: float, client: bigquery.Client | None = None
    ) -> None:
        self.target = target
        self._retry_seconds = retry_seconds
        self.calls = 0
        self._lock = threading.Lock()
        self._given = client

    @property
    def retry(self) -> Any:
        """For calls that change nothing, or nothing the second time; the client takes it in place of its own.

        The client's kind counts from before the call, so a call that hangs would never be repeated.
        """
        return self._repeating

    def _repeating(self, call: Callable[[], T]) -> Callable[[], T]:
        def repeated() -> T:
            repetitions = self.repetitions()
            while True:
                try:
                    return call()
                except SERVICE_ERRORS as error:
                    if not is_transient(error) or not repetitions.wait():
                        raise

        return repeated

    def repetitions(self) -> Repetitions:
        """For what is repeated elsewhere, because something has to be asked in between."""
        return Repetitions(self._retry_seconds)

    @property
    def project(self) -> str:
        """The project whose tables these are, and which runs the jobs."""
        return self.target.project

    @property
    def client(self) -> bigquery.Client:
        """The client; each time it is asked for counts as a call.

        Raises:
            StoreAuthError: there are no credentials.
        """
        with self._lock:
            self.calls += 1
            return self._client

    @cached_property
    def _client(self) -> bigquery.Client:
        if self._given is not None:
            return self._given
        with service_errors():
            return make_client(self.target)

    def close(self) -> None:
        """Close the client's connections; one that was given stays its owner's."""
        if self._given is None and "_client" in self.__dict__:
            client: Any = self._client
            client.close()
            del self.__dict__["_client"]


def make_client(target: BigQueryUrl) -> bigquery.Client:
    """A client for the project. `BIGQUERY_EMULATOR_HOST` is honoured, and needs no credentials."""
    emulator = environment().get(EMULATOR_VARIABLE)
    options = ClientOptions(quota_project_id=None if emulator else target.quota_project)
    if emulator:
        options.api_endpoint = emulator if "://" in emulator else f"http://{emulator}"
    client = bigquery.Client(
        project=target.project,
        credentials=_anonymous_credentials() if emulator else _credentials(target),
        location=target.location,
        client_options=options,
        client_info=_client_info(user_agent=f"lorchestra/{version('lorchestra')}"),
    )
    _look_for_proxies_once(client)
    return client


def _look_for_proxies_once(client: Any) -> None:
    """Left alone, `requests` looks for proxies, certificates and passwords of the host before each call."""
    # The client has no public way to its session and its address.
    session, host = client._http, client._connection.get_api_base_url_for_mtls()  # noqa: SLF001
    found = session.merge_environment_settings(host, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False


def _credentials(target: BigQueryUrl) -> Credentials:
    credentials: Any
    if target.credentials is not None:
        credentials = _file_credentials(target.credentials)
    else:
        credentials, _ = google.auth.default(scopes=_SCOPES, quota_project_id=target.quota_project)
    if target.impersonate is not None:
        credentials = _impersonated_credentials(
            source_credentials=credentials, target_principal=target.impersonate, target_scopes=list(_SCOPES)
        )
    checked: Credentials = credentials
    return checked


def _file_credentials(path: str) -> Credentials:
    """The credentials in a key file of a service account, or in one that a person's login left."""
    try:
        content = json.loads(Path(path).read_bytes())
        read = _READERS[content["type"]]
        credentials: Credentials = read(content, scopes=_SCOPES)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"store.url: credentials: no key file of a service account: {type(error).__name__}",
            place=path,
            next_step="Correct the path, or leave it out to use Application Default Credentials.",
        ) from None
    return credentials

"""A client of the API that hides nothing of what comes back."""

from typing import Any

import requests

from tests.gmail.service import GmailService


class Client:
    """Calls the API with an access token, over one connection."""

    def __init__(self, service: GmailService) -> None:
        self._service = service
        self.session = requests.Session()
        self.log_in()

    def log_in(self) -> None:
        answer = refresh(self._service)
        assert answer.status_code == 200, answer.text
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: Any) -> requests.Response:
        url = f"{self._service.endpoint}/gmail/v1/users/me{path}"
        return self.session.get(url, params=query, timeout=20)

    def found(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def history_id(self) -> str:
        return str(self.found("/profile")["historyId"])

    def ids(self, **query: Any) -> list[str]:
        return [message["id"] for message in self.found("/messages", **query).get("messages", [])]


def refresh(service: GmailService, **changed: str) -> requests.Response:
    form = {
        "grant_type": "refresh_token",
        "client_id": service.client_id,
        "client_secret": service.client_secret,
        "refresh_token": service.refresh_token,
    }
    return requests.post(service.token_uri, data=form | changed, timeout=20)


def error_of(response: requests.Response) -> dict[str, Any]:
    return dict(response.json()["error"])

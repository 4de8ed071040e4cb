"""Answers that the server behind the front gives in another way than Google, or not at all."""

import re
from dataclasses import replace
from threading import Lock

from tests.emulator.wire import Answer, Json, json_answer
from tests.gmail.errors import not_found
from tests.gmail.upstream import Upstream

_ME = "/gmail/v1/users/me"
# Later than any history: with it, only the present history id is told.
_END_OF_HISTORY = "9" * 30
_SIZE = re.compile(rb'(?<=,"sizeEstimate":)\d+')


def profile(upstream: Upstream, address: str) -> Answer:
    """users.getProfile."""
    everything = "?includeSpamTrash=true&maxResults=1"
    return json_answer(
        200,
        {
            "emailAddress": address,
            "messagesTotal": upstream.json("GET", f"{_ME}/messages{everything}")["resultSizeEstimate"],
            "threadsTotal": upstream.json("GET", f"{_ME}/threads{everything}")["resultSizeEstimate"],
            "historyId": history_id(upstream),
        },
    )


def history_id(upstream: Upstream) -> str:
    """The mailbox's present one."""
    found = upstream.json("GET", f"{_ME}/history?startHistoryId={_END_OF_HISTORY}&maxResults=1")
    return str(found["historyId"])


def without_empty_list(answer: Answer, key: str) -> Answer:
    """Google leaves a list out where nothing is in it."""
    content = answer.json
    if content is None or content.get(key) != []:
        return answer
    return answer.with_json({name: value for name, value in content.items() if name != key})


def with_size_of_message(answer: Answer) -> Answer:
    """The server tells how much base64 the message is."""
    return replace(answer, body=_SIZE.sub(lambda size: b"%d" % (int(size[0]) * 3 // 4), answer.body, count=1))


class History:
    """How far back the mailbox's history reaches."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lock = Lock()
        self._expired_until = -1

    def expire(self) -> None:
        """Forget all history up to now. Who asks for the present history id from here on gets a later one."""
        passing: Json = {"raw": "RnJvbTogYUBleGFtcGxlLmNvbQoKCg=="}
        inserted = self._upstream.json("POST", f"{_ME}/messages", passing)
        with self._lock:
            self._expired_until = int(inserted["historyId"])
        self._upstream.json("DELETE", f"{_ME}/messages/{inserted['id']}")

    def refusal(self, start_history_id: str) -> Answer | None:
        """Google's answer where history does not reach back as far as that."""
        with self._lock:
            too_old = start_history_id.isdecimal() and int(start_history_id) <= self._expired_until
        return not_found() if too_old else None

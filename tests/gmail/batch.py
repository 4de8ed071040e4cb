"""Many calls in one request: https://developers.google.com/workspace/gmail/api/guides/batch"""

import http.client
import secrets
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message

from tests.emulator.faults import CutBefore
from tests.emulator.wire import Answer, Request
from tests.gmail.errors import bad_request
from tests.gmail.server import Outcome

PATH = "/batch/gmail/v1"
_MOST_CALLS = 100


def batch_answer(request: Request, serve: Callable[[Request], Outcome]) -> Outcome:
    """Each part answered by `serve`, one after the other.

    A part without an Authorization of its own has that of the whole. Where a part's connection is to break,
    that of the whole does.
    """
    calls = list(_calls(request))
    if not calls:
        return bad_request("Failed to parse batch request, error: no calls. Received batch body: (0) bytes")
    if len(calls) > _MOST_CALLS:
        return bad_request(f"The batch request has {len(calls)} calls, the limit is {_MOST_CALLS}.")
    boundary = f"batch_{secrets.token_urlsafe(24)}"
    body = bytearray()
    for content_id, call in calls:
        outcome = serve(call)
        if outcome is None or isinstance(outcome, CutBefore):
            return outcome
        body += f"--{boundary}\r\nContent-Type: application/http\r\n".encode()
        if content_id:
            body += f"Content-ID: <response-{content_id.strip().removeprefix('<')}\r\n".encode()
        body += b"\r\n" + _written(outcome) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return Answer(200, [("Content-Type", f"multipart/mixed; boundary={boundary}")], bytes(body))


def _calls(request: Request) -> Iterator[tuple[str, Request]]:
    """The parts with their Content-ID."""
    head = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode()
    whole = message_from_bytes(head + request.decoded)
    for part in whole.get_payload() if whole.is_multipart() else []:
        if isinstance(part, Message):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content.strip():
                yield part.get("Content-ID", ""), _call(content.lstrip(), request)


def _call(content: bytes, whole: Request) -> Request:
    line, _, rest = content.replace(b"\r\n", b"\n").partition(b"\n")
    method, _, target = line.decode().partition(" ")
    inner = message_from_bytes(rest)
    headers = list(inner.items())
    if "Authorization" not in inner:
        headers.append(("Authorization", whole.header("authorization")))
    body = rest.partition(b"\n\n")[2]
    path = target.rpartition(" HTTP/")[0] or target
    return Request(method, path, headers, lambda: body)


def _written(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body

"""The objects that are loaded: Gmail message resources of a given size, the same ones for the same seed."""

import argparse
import base64
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

_MOST_BYTES = 8_000_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is loaded: so many messages whose bodies have so many bytes of base64 on average."""

    name: str
    messages: int
    mean_body: int


#: Mailboxes as they are: A with attachments and newsletters, B nearly headers alone.
LARGE = Work(name="A", messages=5_000, mean_body=73_000)
SMALL = Work(name="B", messages=100_000, mean_body=600)


def messages(work: Work, *, seed: str = "1", changed: float = 0.0) -> Iterator[dict[str, Any]]:
    """The messages of a work; a share of them with another label, as after somebody sorted them."""
    words = _words(random.Random("words"))
    for index in range(work.messages):
        message = _message(random.Random(f"{seed}:{index}"), index, work.mean_body, words)
        if random.Random(f"changed:{index}").random() < changed:
            message["labelIds"] = [*message["labelIds"], "STARRED"]
            message["historyId"] = str(20_000_000 + index)
        yield message


def write(path: Path, work: Work, *, seed: str = "1", changed: float = 0.0, times: int = 1) -> None:
    """Write them as JSON Lines; all of them so many times over, each time under other ids."""
    with path.open("wb") as out:
        out.writelines(orjson.dumps(one) + b"\n" for one in messages(work, seed=seed, changed=changed))
        out.flush()
        for number in range(1, times):
            with path.open("rb") as lines:
                start = b'{"id":"%x-' % number
                out.writelines(line.replace(b'{"id":"', start, 1) for line in islice(lines, work.messages))


def written(path: Path, work: Work, *, changed: float = 0.0, times: int = 1) -> None:
    """The messages of a work in a file, written by a process of its own.

    What a parent has held in memory is counted as its child's, so who measures must stay small.
    """
    options = {"messages": work.messages, "mean-body": work.mean_body, "changed": changed, "times": times}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([sys.executable, "-m", "benchmarks.messages", path, *given], check=True)


def _message(rng: random.Random, index: int, mean_body: int, words: list[str]) -> dict[str, Any]:
    # Sizes of mail are distributed log-normally; base64 makes four bytes of three.
    mean = mean_body * 3 / 4
    size = int(min(max(rng.lognormvariate(math.log(mean) - 0.5, 1.0), 120), _MOST_BYTES))
    plain, html = _plain(rng, max(size // 6, 40), words), _html(rng, size - size // 6, words)
    message_id, sender = f"{rng.getrandbits(64):016x}", f"{rng.choice(words)}.example"
    return {
        "id": message_id,
        "threadId": f"{rng.getrandbits(64):016x}",
        "labelIds": ["INBOX", rng.choice(("CATEGORY_UPDATES", "CATEGORY_PROMOTIONS", "CATEGORY_PERSONAL"))],
        "snippet": plain[:180],
        "payload": {
            "partId": "",
            "mimeType": "multipart/alternative",
            "filename": "",
            "headers": _headers(rng, sender, words),
            "body": {"size": 0},
            "parts": [_part("0", "text/plain", plain), _part("1", "text/html", html)],
        },
        "sizeEstimate": size + 6000,
        "historyId": str(10_000_000 + index),
        "internalDate": str(1_600_000_000_000 + index * 61_000 + rng.randrange(60_000)),
    }


def _part(part_id: str, mime_type: str, text: str) -> dict[str, Any]:
    data = text.encode()
    return {
        "partId": part_id,
        "mimeType": mime_type,
        "filename": "",
        "headers": [
            {"name": "Content-Type", "value": f"{mime_type}; charset=UTF-8"},
            {"name": "Content-Transfer-Encoding", "value": "quoted-printable"},
        ],
        "body": {"size": len(data), "data": base64.urlsafe_b64encode(data).decode()},
    }


def _headers(rng: random.Random, sender: str, words: list[str]) -> list[dict[str, str]]:
    """As they stand on a newsletter that passed three servers: most of it signatures."""
    hops = [
        ("Received", f"from {sender} by mx{hop}.example with SMTP id {_token(rng, 24)}") for hop in range(3)
    ]
    signed = [
        (name, f"i=1; a=rsa-sha256; d={sender}; bh={_token(rng, 32)}; b={_token(rng, 256)}")
        for name in ("ARC-Seal", "ARC-Message-Signature", "DKIM-Signature")
    ]
    others = [
        ("Delivered-To", "me@example.com"),
        ("Return-Path", f"<bounce+{_token(rng, 9)}@{sender}>"),
        ("Authentication-Results", f"mx.example; dkim=pass header.b={_token(rng, 6)}; spf=pass; dmarc=pass"),
        ("Date", "Tue, 01 Oct 2024 19:00:10 +0000 (UTC)"),
        ("From", f'"{rng.choice(words).title()}" <{rng.choice(words)}@{sender}>'),
        ("To", "me@example.com"),
        ("Subject", " ".join(rng.choices(words, k=rng.randrange(3, 11)))),
        ("Message-ID", f"<{_token(rng, 16)}@{sender}>"),
        ("List-Unsubscribe", f"<https://{sender}/u/{_token(rng, 90)}>"),
        ("X-Entity-ID", _token(rng, 60)),
        ("X-Google-Smtp-Source", _token(rng, 33)),
        ("X-Received", f"by 2002:a17:{rng.randrange(9999)}:: with SMTP id {_token(rng, 20)}"),
        ("X-Feedback-ID", f"{rng.randrange(1 << 30)}:{_token(rng, 30)}"),
        ("X-Message-ID", _token(rng, 90)),
        ("X-Recipient-ID", _token(rng, 150)),
        ("X-Campaign", " ".join(rng.choices(words, k=12))),
    ]
    return [{"name": name, "value": value} for name, value in (*hops, *signed, *others)]


def _plain(rng: random.Random, size: int, words: list[str]) -> str:
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(" ".join(rng.choices(words, k=14)) + "\r\n")
    return "".join(lines)[:size]


def _html(rng: random.Random, size: int, words: list[str]) -> str:
    rows, length = ['<html><body><table width="600" cellpadding="0" role="presentation">'], 0
    while length < size:
        token = base64.urlsafe_b64encode(rng.randbytes(24)).decode()
        link = f"https://click.example/{token}?utm_source=mail"
        shown = " ".join(rng.choices(words, k=rng.randrange(6, 18)))
        colour = f"{rng.randrange(1 << 24):06x}"
        row = f'<tr><td style="padding:8px;color:#{colour}"><a href="{link}">{shown}</a></td></tr>\r\n'
        rows.append(row)
        length += len(row)
    return "".join(rows)[:size]


def _token(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def _words(rng: random.Random) -> list[str]:
    made = ["".join(rng.choices("bcdfglmnprstvaeiou", k=rng.randrange(2, 9))) for _ in range(6000)]
    return made + ["the", "of", "and", "to", "in", "you", "your", "we", "for", "is"] * 150


def main() -> None:
    """`python -m benchmarks.messages OUT --messages N --mean-body BYTES`: the file alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--messages", type=int, default=SMALL.messages)
    parser.add_argument("--mean-body", type=int, default=SMALL.mean_body)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--changed", type=float, default=0.0)
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    work = Work(name="", messages=given.messages, mean_body=given.mean_body)
    write(given.out, work, seed=given.seed, changed=given.changed, times=given.times)


if __name__ == "__main__":
    main()

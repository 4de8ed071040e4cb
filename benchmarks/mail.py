"""How fast mail is read from an mbox file, beside the standard library, and in how much memory.

    python -m benchmarks.mail [--quick] [--rounds N] > mail.json

Both programs make a line of JSON of each message, whole processes both, taking turns, on a file and on one
ten times as large. `--write` and `--read` are what the processes do that this one starts: it stays small
itself, as what a parent had in memory counts as its child's.
"""

import argparse
import json
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, measure

ROOT = Path(__file__).parent
SAMPLE = ROOT.parent / "examples" / "mail" / "takeout.mbox"
#: Messages in the file, and the mean size of a message's texts. `mixed` is a mailbox; `text` is lists alone.
WORKS = {"mixed": (1_500, 40_000), "text": (4_000, 8_000)}
# Bytes of the largest attachment. There is one in each file, as memory is that of the largest message.
_LARGEST = 4_000_000
_FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


def write(path: Path, work: str, messages: int, seed: str) -> None:
    """Made messages, and among them the sample's, real ones, once for every two thousand."""
    from benchmarks.messages import Work
    from benchmarks.messages import messages as resources

    made = resources(Work(name=work, messages=messages, mean_body=WORKS[work][1]), seed=seed)
    with path.open("wb") as out:
        for index, resource in enumerate(made):
            if index % 2000 == 0:
                out.write(SAMPLE.read_bytes().rstrip(b"\n") + b"\n\n")
            rng = random.Random(f"{seed}:{index}:mail")
            content = _content(
                resource, rng, plain=work == "text" or (index > 0 and rng.random() < 0.25), largest=index == 0
            )
            line_end = b"\r\n" if rng.random() < 0.25 else b"\n"
            content = _FROM_LINE.sub(rb">\1", content).replace(b"\n", line_end)
            out.write(b"From %d@xxx Tue Oct 01 19:00:10 +0000 2024\n" % int(resource["id"], 16))
            out.write(content + b"\n")


def _content(resource: dict[str, Any], rng: random.Random, *, plain: bool, largest: bool) -> bytes:
    """A text; or a newsletter in both forms, one in six with a file attached to it."""
    payload = resource["payload"]
    fields = [(one["name"], one["value"].replace("; ", ";\n\t")) for one in payload["headers"]]
    texts = [_decoded(part) for part in payload["parts"]]
    head = [("X-GM-THRID", str(int(resource["threadId"], 16))), ("X-Gmail-Labels", "Inbox,Unread"), *fields]
    if plain:
        return _part(head, "text/plain; charset=UTF-8", texts[0], rng.choice(("8bit", "quoted-printable")))
    text = _part([], "text/plain; charset=UTF-8", texts[0], "quoted-printable")
    shown = _part([], 'text/html; charset="UTF-8"', texts[1], rng.choice(("base64", "quoted-printable")))
    if largest or rng.random() < 1 / 6:
        file = rng.randbytes(_LARGEST if largest else min(int(rng.lognormvariate(11, 1.2)), _LARGEST))
        name = f"report {rng.randrange(1000)}.pdf"
        disposition = [("Content-Disposition", f'attachment; filename="{name}"')]
        attached = _part(disposition, f'application/pdf; name="{name}"', file, "base64")
        return _multipart(head, "mixed", [_multipart([], "alternative", [text, shown], rng), attached], rng)
    return _multipart(head, "alternative", [text, shown], rng)


def _decoded(part: dict[str, Any]) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(part["body"]["data"]).replace(b"\r\n", b"\n")


def _part(fields: list[tuple[str, str]], content_type: str, data: bytes, encoding: str) -> bytes:
    import base64
    import quopri

    encode = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, bytes)
    fields = [*fields, ("Content-Type", content_type), ("Content-Transfer-Encoding", encoding)]
    return _head(fields) + encode(data)


def _multipart(fields: list[tuple[str, str]], subtype: str, parts: list[bytes], rng: random.Random) -> bytes:
    boundary = f"{rng.getrandbits(112):028x}"
    head = _head([*fields, ("Content-Type", f'multipart/{subtype}; boundary="{boundary}"')])
    separator = f"--{boundary}".encode()
    return head + b"".join(separator + b"\n" + part + b"\n" for part in parts) + separator + b"--\n"


def _head(fields: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in fields).encode() + b"\n"


def read(path: Path, out_path: Path) -> None:
    """By the source as a job opens it; what a store would get, as JSON Lines."""
    import orjson

    from lorchestra.model import Record, Window
    from lorchestra.sources.base import SourceContext
    from lorchestra.sources.takeout import TAKEOUT

    source = TAKEOUT.open(
        TAKEOUT.options.model_validate({"path": str(path)}), SourceContext(base=path.parent)
    )
    with out_path.open("wb") as out:
        for item in source.records(Window(), None):
            if isinstance(item, Record):
                out.write(orjson.dumps(item.data) + b"\n")


def compared(folder: Path, work: str, messages: int, *, rounds: int, seed: str) -> dict[str, Any]:
    """Both programs on one file, as often as there are rounds."""
    path, out = folder / "mail.mbox", folder / "out.jsonl"
    this = [sys.executable, "-m", "benchmarks.mail"]
    subprocess.run([*this, "--write", path, work, str(messages), seed], check=True)
    commands: dict[str, list[str | Path]] = {
        "standard library": [sys.executable, ROOT / "contenders" / "stdlib_mailbox.py", path, out],
        "lorchestra": [*this, "--read", path, out],
    }
    found: dict[str, list[Measured]] = {name: [] for name in commands}
    lines: dict[str, int] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(measure(command))
            with out.open("rb") as written:
                lines[name] = sum(1 for _ in written)
            out.unlink()
            print(f"{work}, {messages}, {name}: {found[name][-1].seconds:.1f} s", file=sys.stderr, flush=True)
    pairs = list(zip(found["standard library"], found["lorchestra"], strict=True))
    size = path.stat().st_size
    path.unlink()
    return {
        "work": work,
        "file_bytes": size,
        "programs": {
            name: {
                "messages": lines[name],
                "messages_a_second": round(lines[name] / statistics.median(one.seconds for one in runs)),
                "cpu_seconds": round(statistics.median(one.cpu_seconds for one in runs), 2),
                "peak_bytes": max(one.peak_bytes for one in runs),
            }
            for name, runs in found.items()
        },
        "ratio": round(statistics.median(theirs.seconds / ours.seconds for theirs, ours in pairs), 2),
        "cpu_ratio": round(
            statistics.median(theirs.cpu_seconds / ours.cpu_seconds for theirs, ours in pairs), 2
        ),
    }


def comparisons(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for work, (messages, _) in WORKS.items():
            for times in (1, 10):
                count = messages * times // (10 if given.quick else 1)
                yield compared(Path(name), work, count, rounds=given.rounds, seed=given.seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        path, work, messages, seed = given.write
        write(Path(path), work, int(messages), seed)
    elif given.read:
        read(*given.read)
    else:
        machine = {"python": platform.python_version(), "machine": platform.platform()}
        print(json.dumps({**machine, "comparisons": list(comparisons(given))}, indent=2))


if __name__ == "__main__":
    main()

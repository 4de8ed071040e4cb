"""How much `upsert_objects` costs over the raw engine: see README.md.

    python benchmarks/upsert.py [--objects N] [--rounds N] [--json]

Every measurement is a process of its own, and the contenders take turns.
"""

import argparse
import base64
import importlib.util
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.setup import setup_statement
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store

SOURCE = "tap-gmail--bench"
ROUNDS = 3

RAW_INSERT = f"""
INSERT INTO raw_objects
SELECT '{SOURCE}:email:' || (json ->> '$.id'), '{SOURCE}', 'email', json ->> '$.id', json, now(), now()
FROM read_ndjson_objects($path)
"""


# Objects


def messages(number: int) -> Iterator[dict[str, Any]]:
    """The same messages each time: Gmail's shape, about 5.3 KB, bodies of words, headers of signatures."""
    rng = random.Random(20251124)
    words = ["".join(rng.choices("bcdfglmnprstvaeiou", k=rng.randrange(2, 9))) for _ in range(6000)]
    for index in range(number):
        body = " ".join(rng.choices(words, k=max(20, int(rng.lognormvariate(5.78, 0.5)))))
        headers = {
            "From": f"{rng.choice(words)}@{rng.choice(words)}.example",
            "To": "someone@example.com",
            "Subject": " ".join(rng.choices(words, k=7)),
            "Message-ID": f"<{rng.getrandbits(96):024x}@example.com>",
            "DKIM-Signature": f"v=1; a=rsa-sha256; b={_token(rng, 256)}",
            "ARC-Seal": f"i=1; a=rsa-sha256; cv=none; b={_token(rng, 256)}",
            "ARC-Message-Signature": f"i=1; a=rsa-sha256; c=relaxed/relaxed; b={_token(rng, 256)}",
            "X-Google-Smtp-Source": _token(rng, 60),
            "List-Unsubscribe": f"<https://example.com/u/{_token(rng, 90)}>",
        }
        yield {
            "id": f"{rng.getrandbits(64):016x}",
            "threadId": f"{rng.getrandbits(64):016x}",
            "labelIds": ["INBOX", rng.choice(["CATEGORY_UPDATES", "CATEGORY_PERSONAL", "UNREAD"])],
            "snippet": body[:180],
            "historyId": str(10_000_000 + index),
            "internalDate": str(1_600_000_000_000 + index * 61_000),
            "sizeEstimate": len(body) + 3000,
            "payload": {
                "mimeType": "text/plain",
                "headers": [{"name": name, "value": value} for name, value in headers.items()],
                "body": {"size": len(body), "data": base64.urlsafe_b64encode(body.encode()).decode()},
            },
        }


def _token(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


# Contenders: each one is called in its own process with the objects and the file to write


def raw(objects: Path, file: Path) -> None:
    with duckdb.connect(file) as connection:
        connection.execute(setup_statement("duckdb/create_raw_objects").format(raw_objects="raw_objects"))
        connection.execute(RAW_INSERT, {"path": str(objects)})


def lorchestra(objects: Path, file: Path) -> None:
    with objects.open("rb") as lines, open_store(f"duckdb:///{file}") as store:
        upsert_objects(
            objects=map(orjson.loads, lines),
            source_system=SOURCE,
            object_type="email",
            correlation_id="bench",
            idem_key_fn=gmail_idem_key(SOURCE),
            bq_client=store,
        )


def sqlite_utils(objects: Path, file: Path) -> None:
    from sqlite_utils import Database

    now = time.time()
    with objects.open("rb") as lines:
        table = Database(file)["raw_objects"]
        table.upsert_all(
            (
                {
                    "idem_key": f"{SOURCE}:email:{obj['id']}",
                    "source_system": SOURCE,
                    "object_type": "email",
                    "external_id": obj["id"],
                    "payload": orjson.dumps(obj).decode(),
                    "last_seen": now,
                }
                for obj in map(orjson.loads, lines)
            ),
            pk="idem_key",
            batch_size=5000,
        )


CONTENDERS = {"raw": raw, "lorchestra": lorchestra, "sqlite-utils": sqlite_utils}
#: What is measured: contender, whether the file is already loaded.
MEASURED = [("raw", False), ("lorchestra", False), ("lorchestra", True)]
PEER = [("sqlite-utils", False), ("sqlite-utils", True)]


# Measuring


def measure_here(contender: str, objects: Path, file: Path) -> dict[str, Any]:
    started = time.perf_counter()
    CONTENDERS[contender](objects, file)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "peak_bytes": peak, "file_bytes": file.stat().st_size}


def measure(contender: str, objects: Path, file: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--contender", contender, str(objects), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{contender} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(number: int, rounds: int) -> dict[str, Any]:
    steps = MEASURED + (PEER if importlib.util.find_spec("sqlite_utils") else [])
    found: dict[tuple[str, bool], list[dict[str, Any]]] = {step: [] for step in steps}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        objects = Path(folder) / "objects.jsonl"
        with objects.open("wb") as out:
            out.writelines(orjson.dumps(message) + b"\n" for message in messages(number))
        for round_ in range(rounds):
            for contender, again in steps:
                file = Path(folder) / f"{round_}.{contender}"
                found[contender, again].append(measure(contender, objects, file))
                print(".", end="", file=sys.stderr, flush=True)
            for contender, _ in steps:
                (Path(folder) / f"{round_}.{contender}").unlink(missing_ok=True)
        print(file=sys.stderr)
        size = objects.stat().st_size
    raw_seconds = [one["seconds"] for one in found["raw", False]]
    return {
        "objects": number,
        "bytes": size,
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "duckdb": duckdb.__version__,
        "results": [
            {
                "contender": contender,
                "step": "identical re-run" if again else "first load",
                "seconds": statistics.median(one["seconds"] for one in each),
                "ratio": statistics.median(
                    one["seconds"] / base for one, base in zip(each, raw_seconds, strict=True)
                ),
                "peak_bytes": max(one["peak_bytes"] for one in each),
                "file_bytes": max(one["file_bytes"] for one in each),
            }
            for (contender, again), each in found.items()
        ],
    }


def as_table(report: dict[str, Any]) -> str:
    size = f"{report['objects']:,} objects, {report['bytes'] / 1e6:,.0f} MB of JSON"
    lines = [
        f"{size}, {report['cpus']} cores, DuckDB {report['duckdb']}, median of {report['rounds']} rounds",
        "",
        "| | | seconds | ratio to raw | peak memory, MB | file, MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one['contender']} | {one['step']} | {one['seconds']:.2f} | {one['ratio']:.2f} |"
        f" {one['peak_bytes'] / 1e6:,.0f} | {one['file_bytes'] / 1e6:,.0f} |"
        for one in report["results"]
    ]
    if not any(one["contender"] == "sqlite-utils" for one in report["results"]):
        lines += ["", "sqlite-utils is not installed: `pip install sqlite-utils` to compare with it."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        contender, objects, file = arguments.contender
        print(json.dumps(measure_here(contender, Path(objects), Path(file))))
        return
    report = run(arguments.objects, arguments.rounds)
    print(json.dumps(report, indent=2) if arguments.json else as_table(report))


if __name__ == "__main__":
    main()

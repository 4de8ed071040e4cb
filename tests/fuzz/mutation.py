"""Inputs made of other inputs, the same ones each time."""

import random
from collections.abc import Iterator, Sequence

_ODD = (
    b"\0", b"\n", b"\r\n", b"\n\n", b'"', b"'", b"\\", b"{", b"[", b"]", b"}", b",", b":", b"=", b"%",
    b"/../", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"null", b"NaN", b"1e400",
    b"-1", b"9" * 25, b"0000-01-01", b"10000-01-01", b"From ", b"\nFrom a Thu Aug 22 12:36:23 2002\n",
    b"=?utf-8?B?",
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\n", b"$(id)", b"' OR 1=1 --", b"`", b"\x1b[31m",
    b"[" * 600, b'{"a":' * 600, b"(" * 1500,
)  # fmt: skip


def mutated(seeds: Sequence[bytes], *, runs: int, seed: int) -> Iterator[bytes]:
    """So many inputs, each one or two seeds with something done to them."""
    chance = random.Random(seed)
    for _ in range(runs):
        data = bytearray(chance.choice(seeds) if seeds else b"")
        for _ in range(chance.randint(1, 6)):
            _mutate(data, chance, seeds)
        yield bytes(data[:100_000])


def _mutate(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    length = chance.choice((1, 1, 2, 4, 16, 64))
    match chance.randint(0, 7):
        case 0:
            data[at:at] = chance.choice(_ODD)
        case 1:
            data[at : at + length] = chance.choice(_ODD)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = chance.randbytes(length)
        case 4 if at < len(data):
            data[at] ^= 1 << chance.randint(0, 7)
        case 5:
            data[at:at] = data[at : at + length] * chance.randint(1, 5)
        case 6:
            del data[at:]
        case _:
            other = chance.choice(seeds) if seeds else b""
            begin = chance.randint(0, len(other))
            data[at:] = other[begin:]

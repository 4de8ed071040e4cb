"""Faults that a test injects: which requests they meet, and what happens to those."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.emulator.wire import Answer, Json, Request, json_answer, matches


@dataclass(frozen=True)
class Answered:
    """The request is not forwarded; the test's answer is given."""

    answer: Answer


@dataclass(frozen=True)
class CutBefore:
    """The request is not forwarded; the connection is reset when half of its body has arrived."""


@dataclass(frozen=True)
class LoseAnswer:
    """The request is forwarded; the connection closes before the answer."""


@dataclass(frozen=True)
class Delayed:
    """The request is forwarded after a while."""

    seconds: float


@dataclass(frozen=True)
class Rewritten:
    """The request is forwarded, and the JSON of its answer changed."""

    change: Callable[[Json], Json]


@dataclass(frozen=True)
class KeptInPart:
    """Of a piece of an upload, only the first bytes arrive; the answer says so."""

    size: int


Action = Answered | CutBefore | LoseAnswer | Delayed | Rewritten | KeptInPart


def answer(status: int, json_body: Json, headers: dict[str, str] | None = None) -> Answered:
    """Answer with this, and do not forward."""
    return Answered(json_answer(status, json_body, headers))


def cut_before() -> CutBefore:
    """Reset the connection in the middle of the request, and do not forward."""
    return CutBefore()


def lose_answer() -> LoseAnswer:
    """Forward, then close the connection without an answer."""
    return LoseAnswer()


def delay(seconds: float) -> Delayed:
    """Wait, then go on as usual."""
    return Delayed(seconds)


def rewrite(change: Callable[[Json], Json]) -> Rewritten:
    """Forward, then answer with what `change` makes of the JSON answer."""
    return Rewritten(change)


def keep_part(size: int) -> KeptInPart:
    """Forward only so many bytes of a piece of an upload."""
    return KeptInPart(size)


@dataclass(kw_only=True)
class Fault:
    """`action` happens to `times` requests that match, after `after` of them got through.

    `path` is searched in the path with its query string, `body` in the uncompressed body.
    """

    method: str
    path: str
    action: Action
    body: str | None = None
    times: int = 1
    after: int = 0

    def matches(self, request: Request) -> bool:
        return (
            request.method == self.method
            and matches(self.path, request.path)
            and (self.body is None or matches(self.body, request.decoded.decode(errors="replace")))
        )

    def claims(self) -> bool:
        """Count one request that matches; True when the fault is for this one."""
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0

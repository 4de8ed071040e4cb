"""Rejected records once more: as they were kept, or from their source."""

from collections.abc import Iterator, Sequence

from lorchestra.model import Record, Rejection, Window
from lorchestra.rejects import Reject
from lorchestra.sources.base import Item, Refetches, Source, SourceType


def can_be_retried(reject: Reject, kind: SourceType) -> bool:
    """Whether there is a way to this record: it was kept, or its source can be asked or read again."""
    return reject.record is not None or kind.refetches or not kind.resumes


class Retry:
    """Rejected records as items of their source. `answered` are the positions that something came of."""

    def __init__(self, rejects: Sequence[Reject], source: Source, *, resumes: bool) -> None:
        self._kept = [one for one in rejects if one.record is not None]
        self._positions = [one.position for one in rejects if one.record is None]
        self._source = source
        self._resumes = resumes
        self.answered: set[str] = set()

    def items(self) -> Iterator[Item]:
        """What was kept first, then what the source has at the positions of the others.

        Raises:
            SourceError: the source cannot be read.
        """
        for one in self._kept:
            self.answered.add(one.position)
            yield Record(data=one.record or {}, position=one.position)
        if self._positions and isinstance(self._source, Refetches):
            yield from self._source.again(self._positions)
            # What did not come is gone at the source.
            self.answered.update(self._positions)
        elif self._positions and not self._resumes:
            yield from self._found_again(set(self._positions))

    def _found_again(self, wanted: set[str]) -> Iterator[Item]:
        for item in self._source.records(Window(), None):
            if isinstance(item, Record | Rejection) and item.position in wanted:
                self.answered.add(item.position)
                yield item

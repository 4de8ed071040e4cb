"""A batch in memory is read like a file."""

import io

from hypothesis import given
from hypothesis import strategies as st

from lorchestra.stores.json_lines import JsonLines

LINES = st.lists(st.lists(st.binary(max_size=20), max_size=4), max_size=8)


@given(lines=LINES, steps=st.lists(st.tuples(st.integers(0, 90), st.integers(-1, 40)), max_size=12))
def test_it_reads_and_winds_like_any_file(lines: list[list[bytes]], steps: list[tuple[int, int]]) -> None:
    """Whatever is read from wherever is what a file with the same bytes gives."""
    plain = io.BytesIO(b"".join(piece for line in lines for piece in line))
    file = JsonLines(lines)
    size = len(plain.getvalue())
    for place, count in steps:
        assert file.seek(min(place, size)) == plain.seek(min(place, size))
        assert file.read(count) == plain.read(count)
        assert file.tell() == plain.tell()
    assert file.seek(0, io.SEEK_END) == size
    assert file.read() == b""

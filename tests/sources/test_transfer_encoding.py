"""A body is the same bytes whether it is decoded or goes on as the base64 that it came in."""

from base64 import urlsafe_b64encode
from email.message import Message

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lorchestra.sources.sparse_find import sparse_find
from lorchestra.sources.transfer_encoding import decoded

ENCODING = st.sampled_from(["base64", "BASE64", "quoted-printable", "8bit", "", "base64 ", "x-uuencode", "x"])


def by_the_package(body: bytes, encoding: str) -> bytes:
    message: Message[str, str] = Message()
    message.set_raw("Content-Transfer-Encoding", encoding)
    message.set_payload(body.decode("ascii", "surrogateescape"))
    data = message.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """Base64 as a mail program writes it, and then damaged or not."""
    text = urlsafe_b64encode(draw(st.binary(max_size=90))).translate(bytes.maketrans(b"-_", b"+/"))
    width = draw(st.integers(1, 76))
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    text = end.join(text[at : at + width] for at in range(0, len(text), width))
    for where, put in draw(
        st.lists(
            st.tuples(
                st.floats(0, 1),
                st.sampled_from([b"=", b"==", b"=41", b"-", b"_", b" ", b"\0", b"\xff", b"A", b"\n", b"=\n"]),
            ),
            max_size=2,
        )
    ):
        at = int(where * len(text))
        text = text[:at] + put + text[at + draw(st.integers(0, 2)) :]
    return text


@settings(deadline=None, max_examples=2000)
@example(body=b"AA=A", encoding="base64", size=0)
@given(body=written(), encoding=ENCODING, size=st.integers(0, 100))
def test_a_body_is_what_the_email_package_decodes(body: bytes, encoding: str, size: int) -> None:
    """Whole, in part and in base64; canonical, damaged, or in no encoding that there is."""
    expected, found = by_the_package(body, encoding), decoded(body, encoding)
    assert found.whole() == expected
    assert found.size == len(expected)
    assert found.beginning(size) == expected[:size]
    assert found.base64url() == urlsafe_b64encode(expected).decode()


@settings(deadline=None, max_examples=300)
@given(
    pieces=st.lists(
        st.sampled_from([b"A" * 4000, b"A" * 8192, b"--", b"--b", b"b", b"From", b"From ", b" ", b"\n"]),
        max_size=8,
    ),
    wanted=st.sampled_from([(b"From ", 4), (b"--b", 0), (b"--" + b"A" * 9000, 0)]),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1.1)),
)
def test_a_search_that_passes_over_base64_finds_the_same(
    pieces: list[bytes], wanted: tuple[bytes, int], bounds: tuple[float, float]
) -> None:
    content = b"".join(pieces)
    start, end = (int(bound * len(content)) for bound in bounds)
    assert sparse_find(content, wanted[0], start, end, rare=wanted[1]) == content.find(wanted[0], start, end)

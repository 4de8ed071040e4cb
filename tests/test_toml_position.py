"""The scan finds the keys that tomllib finds, on the lines where they were written."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.toml_position import KeyLines, KeyPath, dotted, key_lines

TEXT = '''# [no]
title = "a # b"
text = """
[no]
no = 1 \\""" ""
"""
raw = \'\'\'
[no]\'\'\'\'

[jobs."a.b"]
list = [ 1, # ]
  "]", { inner = 2 },
]
deep.er = { one = { two = '}' }, "th ree" = "]" }
when = 1979-05-27 07:32:00 # no = 1
\t[ jobs . c ] # no
'lit"eral' = true
"esc\\u0061pe" = -inf

[[rows]]
x = 1
[rows.sub]
y = 2
[[rows]]
x = 3
[late.child]
z = 1
[late]
last = []'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["title"], 2),
        (["text"], 3),
        (["raw"], 7),
        (["jobs"], 10),
        (["jobs", "a.b"], 10),
        (["jobs", "a.b", "list"], 11),
        (["jobs", "a.b", "list", "2", "inner"], 12),
        (["jobs", "a.b", "deep", "er", "one", "two"], 14),
        (["jobs", "a.b", "deep", "er", "th ree"], 14),
        (["jobs", "a.b", "when"], 15),
        (["jobs", "c"], 16),
        (["jobs", "c", 'lit"eral'], 17),
        (["jobs", "c", "escape"], 18),
        (["rows", "0", "x"], 21),
        (["rows", "0", "sub"], 22),
        (["rows", "1", "x"], 25),
        (["late"], 28),
        (["late", "child", "z"], 27),
        (["late", "last"], 29),
        # What is not there has the line of what is around it.
        (["jobs", "c", "absent"], 16),
        (["jobs", "a.b", "list", "9", "inner"], 11),
        (["jobs", "absent"], 10),
        (["no"], 1),
        (["absent", "no"], 1),
        ([], 1),
    ],
)
def test_lines(keys: list[str], line: int) -> None:
    assert key_lines(TEXT).line(keys) == line
    assert key_lines(TEXT.replace("\n", "\r\n")).line(keys) == line


def test_the_empty_text_has_no_keys() -> None:
    assert key_lines("") == KeyLines(lines={})


@pytest.mark.parametrize(
    "text", ["a", "a = [1", "a = {b", "[a", "= 1", 'a = "', "a = [1,", "a = { b = 1", "]"]
)
def test_invalid_text_ends_in_an_error_or_an_answer(text: str) -> None:
    try:
        key_lines(text)
    except ValueError as error:
        assert "TOML" in str(error)  # noqa: PT017 - either outcome is right, hanging is not


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (["jobs", "gmail-1", "path"], "jobs.gmail-1.path"),
        (["jobs", "a.b", ""], 'jobs."a.b".""'),
        (['q"\\', "n\nl"], '"q\\"\\\\"."n\\U0000000Al"'),
        ([], ""),
    ],
)
def test_dotted(keys: list[str], text: str) -> None:
    assert dotted(keys) == text


NASTY = st.text(st.sampled_from("ab.#[]{}=,'\"\\ \n\té"), max_size=6)
KEYS = st.text("ab", min_size=1, max_size=2) | NASTY
SCALARS = (
    st.integers().map(str)
    | st.sampled_from(
        ["true", "1979-05-27 07:32:00", "0.5", "-inf", "'#]}'", "''", "''''''", '""""a\\""""""']
    )
    | NASTY.map(lambda text: dotted([text + " "]))
    | NASTY.filter(lambda text: "'" not in text).map(lambda text: f"'''{text}'''")
)
BLANKS = st.sampled_from(["", " ", "\t", "\n", ' # ] } = "\n', "\n\n"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(
            lambda items, blank: "[" + ",".join(f"{blank}{item}{blank}" for item in items) + "]",
            st.lists(inner, max_size=3),
            BLANKS,
        )
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{dotted([key])} = {value}" for key, value in pairs.items()) + "}"
        )
    ),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=3)


def paths(value: Any, at: KeyPath = ()) -> set[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path for key, item in items for path in ({(*at, str(key))} | paths(item, (*at, str(key))))}


@given(
    root=TABLES,
    tables=st.dictionaries(KEYS, TABLES, max_size=3),
    rows=st.lists(TABLES, max_size=2),
    blank=BLANKS,
)
def test_the_scan_agrees_with_tomllib(
    root: dict[str, str], tables: dict[str, dict[str, str]], rows: list[dict[str, str]], blank: str
) -> None:
    text, expected = "", {}

    def write(statement: str, *at: str) -> None:
        nonlocal text
        expected[at] = text.count("\n") + 1
        text += f"{statement}\n{blank.strip(' ')}\n"

    for key, value in root.items():
        write(f"{dotted([key])} = {value}", key)
    for name, table in tables.items():
        write(f"[_t . {dotted([name])}] # ]", "_t", name)
        for key, value in table.items():
            write(f"\t{dotted([key])}= {value} # x = 1", "_t", name, key)
    for index, row in enumerate(rows):
        write("[[_r.rows]]", "_r", "rows", str(index))
        for key, value in row.items():
            write(f"{dotted([key])}={value}", "_r", "rows", str(index), key)

    document = tomllib.loads(text)
    found = key_lines(text).lines

    assert set(found) == paths(document)
    assert {at: found[at] for at in expected} == expected

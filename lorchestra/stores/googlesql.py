"""GoogleSQL on other engines: translation by sqlglot."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError, UnsupportedError

from lorchestra.errors import QueryError

# How sqlglot names its own tokens and classes, and the one that stands for the end of the text.
_TOKEN = re.compile(r"<Token token_type: TokenType\.(\w+), text: (.*?), line: \d+, .*?>")
_CLASS = re.compile(r"<class '[\w.]*\b(\w+)'>")
_TOO_DEEP = "query: nested too deeply"


def translate(sql: str, *, dialect: str) -> str:
    """One GoogleSQL SELECT in the dialect of another engine. `@name` parameters become that engine's.

    Raises:
        QueryError: the text is not one statement, is no query, or uses what has no translation.
    """
    try:
        return checked(sql).sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise QueryError(f"query: has no translation to {dialect}: {error}") from error
    except RecursionError:
        raise QueryError(_TOO_DEEP) from None


def checked(sql: str) -> exp.Query:
    """One GoogleSQL SELECT, parsed.

    Raises:
        QueryError: the text is not one statement, or is no query.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, read="bigquery") if s is not None]
        if len(statements) != 1:
            raise QueryError(f"query: expected one statement, found {len(statements)}")
        statement = statements[0]
        if not isinstance(statement, exp.Query):
            raise QueryError(
                "query: only SELECT statements are run here",
                next_step="Use the store's own tool to change data.",
            )
        return statement
    except SqlglotError as error:
        raise QueryError(f"query: not valid GoogleSQL: {_first_line(error)}") from error
    except RecursionError:
        raise QueryError(_TOO_DEEP) from None


def _first_line(error: Exception) -> str:
    # sqlglot underlines the place with terminal codes; the words alone are enough.
    line = str(error).split("\n", 1)[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
    line = _TOKEN.sub(lambda token: "the end" if token[1] == "SENTINEL" else token[2], line)
    return _CLASS.sub(lambda named: named[1].upper(), line)

"""Searches (`q`) in words that the server understands.

It answers many terms with no messages instead of an error. Those that it cannot be told in other words are
an error of the test, so that no test passes because nothing was found.
"""

import re
from urllib.parse import parse_qs, urlencode

_TERM = re.compile(r'"[^"]*"|\S+')
_KNOWN = re.compile(r"(?:after|before|from|to|subject|label|-label|in|is|rfc822msgid|has:attachment)\b")
_WRONG = re.compile(r"OR$|AND$|[({]|-|\w+:")
_ANYWHERE = "in:anywhere"


def understood(query: str) -> str:
    """The query string of messages.list with its `q` in the server's words.

    Raises:
        NotImplementedError: the server would find the wrong messages.
    """
    parameters = parse_qs(query, keep_blank_values=True)
    terms: list[str] = []
    for term in _TERM.findall(parameters.pop("q", [""])[0]):
        if term == _ANYWHERE:
            parameters["includeSpamTrash"] = ["true"]
        elif term.startswith("-in:"):
            terms.append(f"-label:{term[4:]}")
        elif not _KNOWN.match(term) and _WRONG.match(term):
            raise NotImplementedError(f"The Gmail server does not know how to search for {term!r}")
        else:
            terms.append(term)
    if terms:
        parameters["q"] = [" ".join(terms)]
    return urlencode(parameters, doseq=True)

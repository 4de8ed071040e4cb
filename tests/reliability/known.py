"""Cells of the matrix that are known not to be as they must be. The page tells of them."""

from collections.abc import Mapping

from lorchestra.steps import Step

#: Store, failure and point, with the reason. One that is right must be taken off.
KNOWN: Mapping[tuple[str, str, Step], str] = {}

"""docs/performance.md says what was measured, and what was not."""

import json
from typing import Any

from benchmarks.page import PAGE, RESULTS, page


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def test_the_page_is_what_the_kept_results_make() -> None:
    """No figure was typed by hand, and no text is older than page.md: else `python -m benchmarks.page`."""
    assert PAGE.read_text(encoding="utf-8") == page(results())


def test_who_could_not_be_measured_is_named_with_the_reason() -> None:
    """What failed, a part or a contender, or cannot run here takes nothing from the others."""
    found = results()
    parts = found["parts"]
    parts["upsert"]["unable"]["a peer"] = "cannot be installed: no wheel"
    parts["upsert"]["works"][0]["failed"]["another"] = "its line is too long"
    parts["growth"] = {"failed": "no space is left"}

    told = page(found)

    assert "- **a peer**: cannot be installed: no wheel" in told
    assert "- **another**: 5,000 messages: its line is too long" in told
    assert "## Growth\n\nNot measured: no space is left.\n" in told
    for work in parts["upsert"]["works"]:
        for one in work["results"]:
            assert f"| {one['step']} | {one['contender']} | {one['seconds']:.2f} |" in told

"""The lock of the installed application: everything, in a version that is allowed, with its hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.txt"

_PINNED = re.compile(r"[a-z0-9-]+==[^\s;]+( ; [^\\]+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked() -> dict[str, tuple[Requirement, list[str]]]:
    """What the lock pins by its name, and the hashes it gives."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", "")
    pinned = {}
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement, *hashes = re.split(r"\s+(?=--)", line.strip())
            assert _PINNED.fullmatch(requirement), f"neither a pin nor its hash: {requirement}"
            pinned[Requirement(requirement).name] = (Requirement(requirement), hashes)
    return pinned


def test_every_line_of_the_lock_is_a_version_with_its_hashes_and_of_no_place() -> None:
    pinned = locked()

    assert len(pinned) > 20
    for name, (_, hashes) in pinned.items():
        assert hashes, f"{name} has no hash"
        assert all(_HASH.fullmatch(one) for one in hashes), name
    # Neither an index nor a path of whoever made it.
    assert not re.search(
        r"file:|https?:|-index|find-links|(?<!# via )/\w+/", LOCK.read_text(encoding="utf-8")
    )


def test_the_lock_has_what_the_package_asks_for_within_its_bounds() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, build = package["project"], package["build-system"]["requires"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    pinned = locked()

    assert package["dependency-groups"]["build"] == build
    for text in (*project["dependencies"], *extras, *build):
        wanted = Requirement(text)
        found, _ = pinned[canonicalize_name(wanted.name)]
        [version] = [one.version for one in found.specifier]
        assert wanted.specifier.contains(version), f"{text}: type make lock"
        assert found.marker is None, f"{text} is not locked for every system"


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md"])
def test_how_to_install_by_the_lock_is_told(page: str) -> None:
    told = (ROOT / page).read_text(encoding="utf-8")

    assert "pip install --require-hashes -r requirements.txt" in told
    assert "pip install --no-deps --no-build-isolation ." in told

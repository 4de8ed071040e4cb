"""Where a login is kept: the keyring where there is one, else a file that nobody else can read."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked
from keyrings.alt.file import PlaintextKeyring

from lorchestra.errors import AuthError, UsageError
from lorchestra.sources.login_store import KEYRING, LoginStore, StoredLogin

NOW = datetime(2025, 11, 24, 14, 30, tzinfo=UTC)


class LockedKeyring(KeyringBackend):
    """One that nobody is there to unlock."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002
        raise KeyringLocked

    def set_password(self, service: str, username: str, password: str) -> None:  # noqa: ARG002
        raise KeyringLocked


@pytest.fixture
def use(tmp_path: Path) -> Iterator[type[keyring.backend.KeyringBackend]]:
    """Make a backend that of this process, until the test ends."""
    before = keyring.get_keyring()
    yield keyring.set_keyring  # type: ignore[misc]
    keyring.set_keyring(before)


@pytest.fixture
def in_keyring(use, tmp_path: Path) -> PlaintextKeyring:  # type: ignore[no-untyped-def]
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    use(backend)
    return backend


@pytest.fixture
def without_keyring(use) -> None:  # type: ignore[no-untyped-def]
    use(fail.Keyring())


@pytest.fixture
def store(tmp_path: Path) -> LoginStore:
    return LoginStore({"XDG_CONFIG_HOME": str(tmp_path / "config")})


def login(token: str = "1//token", *, age: timedelta = timedelta()) -> StoredLogin:
    return StoredLogin(
        refresh_token=token,
        client_id="client",
        client_secret="secret",
        scopes=("gmail.readonly",),
        created_at=NOW - age,
        expires_at=NOW + timedelta(days=7),
        token_uri="https://proxy.example/token",
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_keyring_keeps_it_whole(store: LoginStore, in_keyring: PlaintextKeyring) -> None:
    """All fields come back, and no file is made."""
    assert store.save("acct1", login()) == KEYRING
    found = store.load("acct1")
    assert found is not None
    assert (found.login, found.place) == (login(), KEYRING)
    assert not store.folder.exists()


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring(), LockedKeyring()])
def test_without_a_usable_keyring_a_private_file_keeps_it(  # type: ignore[no-untyped-def]
    store: LoginStore, use, backend: KeyringBackend
) -> None:
    """None there, one that forgets, one that is locked: each time a file of mode 0600 in a folder of 0700."""
    use(backend)
    place = Path(store.save("acct1", login()))
    assert place == store.folder / "gmail-acct1.json"
    assert (mode(place), mode(place.parent)) == (0o600, 0o700)
    found = store.load("acct1")
    assert found is not None
    assert (found.login, found.place) == (login(), str(place))
    assert list(store.folder.iterdir()) == [place]


def test_accounts_are_kept_apart(store: LoginStore, without_keyring: None) -> None:
    """A name that begins like another is another."""
    store.save("acct1", login("1//one"))
    store.save("acct1-work", login("1//two"))
    found = [store.load(name) for name in ("acct1", "acct1-work", "acct2")]
    assert [one and one.login.refresh_token for one in found] == ["1//one", "1//two", None]


def test_the_newer_of_two_places_counts(store: LoginStore, use, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A keyring that could not be reached at the last login still has an older one."""
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    use(backend)
    store.save("acct1", login("1//old", age=timedelta(days=3)))
    use(fail.Keyring())
    store.save("acct1", login("1//new"))
    use(backend)
    found = store.load("acct1")
    assert found is not None
    assert found.login.refresh_token == "1//new"
    store.save("acct1", login("1//newest", age=-timedelta(days=1)))
    assert not (store.folder / "gmail-acct1.json").exists()


def test_removing_forgets_it_everywhere(store: LoginStore, use, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Both places are cleared, and both are named."""
    use(fail.Keyring())
    file = store.save("acct1", login())
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    use(backend)
    keyring.set_password("lorchestra", "gmail-acct1", "{}")
    assert store.remove("acct1") == [KEYRING, file]
    assert store.load("acct1") is None
    assert store.remove("acct1") == []


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(
    store: LoginStore, without_keyring: None, open_to: int
) -> None:
    """The error has the command that mends it, and nothing of what is in the file."""
    place = Path(store.save("acct1", login()))
    place.chmod(open_to)
    with pytest.raises(AuthError, match="can be read by others") as refused:
        store.load("acct1")
    assert f"chmod 600 '{place}'" in (refused.value.next_step or "")
    place.chmod(0o600)
    assert store.load("acct1")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"refresh_token": "1//secret-token"}', "\udcff"])
def test_a_damaged_file_is_explained(store: LoginStore, without_keyring: None, content: str) -> None:
    """Whatever stands there instead of a login, none of it is repeated."""
    place = Path(store.save("acct1", login()))
    place.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(AuthError) as refused:
        store.load("acct1")
    assert "1//" not in refused.value.message
    assert refused.value.next_step


def test_a_locked_keyring_is_no_missing_login(store: LoginStore, use) -> None:  # type: ignore[no-untyped-def]
    """Where only the keyring can have it, the error says to unlock it."""
    use(LockedKeyring())
    with pytest.raises(AuthError, match="keyring") as refused:
        store.load("acct1")
    assert "Unlock" in (refused.value.next_step or "")


@pytest.mark.parametrize("name", ["", "a/b", "../acct1", "a b", "a\nb", "ä"])
def test_an_account_is_a_plain_name(store: LoginStore, without_keyring: None, name: str) -> None:
    """Nothing that could lead out of the folder."""
    for work in (store.load, store.remove, lambda one: store.save(one, login())):
        with pytest.raises(UsageError, match="account"):
            work(name)


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path, without_keyring: None) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "config").write_text("")
    with pytest.raises(AuthError, match="cannot be written"):
        LoginStore({"XDG_CONFIG_HOME": str(tmp_path / "config")}).save("acct1", login())


@pytest.mark.parametrize("configured", [None, "relative/path"])
def test_without_an_absolute_xdg_folder_it_is_in_the_home(tmp_path: Path, configured: str | None) -> None:
    """As the XDG standard wants it."""
    environment = {"HOME": str(tmp_path)} | ({"XDG_CONFIG_HOME": configured} if configured else {})
    assert LoginStore(environment).folder == tmp_path / ".config" / "lorchestra" / "logins"


def test_secrets_are_in_no_representation() -> None:
    """Neither a debugger's line nor a message shows them."""
    assert "1//" not in repr(login())
    assert "secret=" not in repr(login())
    assert json.dumps(repr(login())).count("client") == 0

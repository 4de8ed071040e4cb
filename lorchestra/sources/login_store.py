"""Where logins are kept: in the system's keyring, or where there is none, in a file for its owner alone."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keyring
from keyring.errors import NoKeyringError, PasswordDeleteError

from lorchestra.errors import AuthUnreadableError, UsageError
from lorchestra.private_files import make_private_folder
from lorchestra.sources.google_login_options import ACCOUNT_NAME

KEYRING_SERVICE = "lorchestra"
KEYRING = "the system keyring"

_OPEN_TO_OTHERS = 0o077


@dataclass(frozen=True, kw_only=True)
class StoredLogin:
    """What a person's consent left us with. `expires_at` is None where the provider did not say.

    `token_uri` is set where the client's file names another than Google's.
    """

    refresh_token: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    token_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class FoundLogin:
    """A login, and where it is kept: `the system keyring`, or a file."""

    login: StoredLogin
    place: str


class LoginStore:
    """The logins of one service, by account."""

    def __init__(self, environment: Mapping[str, str], *, service: str = "gmail") -> None:
        self._service = service
        configuration = environment.get("XDG_CONFIG_HOME", "")
        # The standard wants a relative path to be ignored.
        home = Path(configuration) if Path(configuration).is_absolute() else _home(environment) / ".config"
        self.folder = home / "lorchestra" / "logins"

    def save(self, account: str, login: StoredLogin) -> str:
        """Keep a login in the place of the account's last one, and say where.

        Raises:
            UsageError: the account's name cannot be one.
            AuthUnreadableError: neither a keyring nor a file could be written.
        """
        name, text = self._name(account), json.dumps(asdict(login), default=datetime.isoformat)
        if self._kept_by_keyring(name, text):
            self._file(name).unlink(missing_ok=True)
            return KEYRING
        return str(self._write(name, text))

    def load(self, account: str) -> FoundLogin | None:
        """The account's login; where the keyring and a file have one, the newer of them.

        Raises:
            UsageError: the account's name cannot be one.
            AuthUnreadableError: what is kept cannot be read, or others can read it too.
        """
        name = self._name(account)
        trouble: AuthUnreadableError | None = None
        found: list[FoundLogin] = []
        try:
            if (text := _asked_of_keyring(name)) is not None:
                found.append(FoundLogin(login=self._parsed(text, name, KEYRING), place=KEYRING))
        except AuthUnreadableError as error:
            trouble = error
        if (text := self._read(name)) is not None:
            place = str(self._file(name))
            found.append(FoundLogin(login=self._parsed(text, name, place), place=place))
        if not found and trouble is not None:
            raise trouble
        return max(found, key=lambda one: one.login.created_at, default=None)

    def remove(self, account: str) -> list[str]:
        """Forget the account's login, and say where it was kept.

        Raises:
            UsageError: the account's name cannot be one.
            AuthUnreadableError: it cannot be removed.
        """
        name, places = self._name(account), []
        if _asked_of_keyring(name) is not None:
            try:
                keyring.delete_password(KEYRING_SERVICE, name)
            except PasswordDeleteError:
                raise _locked() from None
            places.append(KEYRING)
        path = self._file(name)
        try:
            path.unlink()
            places.append(str(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unwritable(path, error) from None
        return places

    def _name(self, account: str) -> str:
        if not ACCOUNT_NAME.fullmatch(account):
            raise UsageError(
                "account: may hold letters, digits and _ . @ - only",
                next_step=f"Choose a short name, such as: lorchestra auth {self._service} acct1",
            )
        return f"{self._service}-{account}"

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _kept_by_keyring(self, name: str, text: str) -> bool:
        try:
            keyring.set_password(KEYRING_SERVICE, name, text)
            # A backend that keeps nothing does not say so.
            return keyring.get_password(KEYRING_SERVICE, name) == text
        except Exception:  # noqa: BLE001 - a backend is somebody else's code, and may raise anything
            return False

    def _write(self, name: str, text: str) -> Path:
        path = self._file(name)
        try:
            make_private_folder(self.folder)
            self.folder.chmod(0o700)
            descriptor, part = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(part).replace(path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unwritable(path, error) from None
        return path

    def _read(self, name: str) -> str | None:
        path = self._file(name)
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & _OPEN_TO_OTHERS:
                    raise AuthUnreadableError(
                        "login: its file can be read by others",
                        place=str(path),
                        next_step=f"Type: chmod 600 '{path}'. Log in again if somebody may have read it.",
                    )
                return file.read()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise AuthUnreadableError(
                f"login: its file cannot be read: {reason}", place=str(path), next_step=self._again(name)
            ) from None

    def _parsed(self, text: str, name: str, place: str) -> StoredLogin:
        try:
            kept: dict[str, Any] = json.loads(text)
            expires_at = kept.get("expires_at")
            return StoredLogin(
                refresh_token=str(kept["refresh_token"]),
                client_id=str(kept["client_id"]),
                client_secret=str(kept["client_secret"]),
                scopes=tuple(str(scope) for scope in kept["scopes"]),
                created_at=datetime.fromisoformat(kept["created_at"]).astimezone(UTC),
                expires_at=datetime.fromisoformat(expires_at).astimezone(UTC) if expires_at else None,
                token_uri=kept.get("token_uri"),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise AuthUnreadableError(
                "login: what is kept is no login of lorchestra's", place=place, next_step=self._again(name)
            ) from None

    def _again(self, name: str) -> str:
        return f"Type: lorchestra auth {self._service} {name.removeprefix(f'{self._service}-')}"


def _asked_of_keyring(name: str) -> str | None:
    try:
        return keyring.get_password(KEYRING_SERVICE, name)
    except NoKeyringError:
        return None
    except Exception as error:  # a backend is somebody else's code, and may raise anything
        raise _locked() from error


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


def _locked() -> AuthUnreadableError:
    return AuthUnreadableError(
        "login: the system keyring is there, but cannot be used",
        next_step="Unlock it. To keep logins in a file instead, set "
        "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring and log in again.",
    )


def _unwritable(path: Path, error: OSError) -> AuthUnreadableError:
    return AuthUnreadableError(
        f"login: its file cannot be written: {error.strerror or type(error).__name__}",
        place=str(path),
        next_step="Make the folder writable, or set XDG_CONFIG_HOME to another.",
    )

"""Instances of the engine that one file after another is attached to: to make one takes 20 times as long."""

import os
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

import duckdb

# No identifiers, so that no dataset can have these names.
_FILE, _NO_FILE = '"the file"', '"no file"'


class Attached:
    """A file that is open, by a connection of its own."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        engine: duckdb.DuckDBPyConnection | None = None,
        keep: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
    ) -> None:
        self.connection = connection
        self._engine = engine
        self._keep = keep

    def close(self, *, is_sound: bool) -> None:
        """Let go of the file. The engine is kept for the next one, unless something went wrong with it."""
        engine, self._engine = self._engine, None
        try:
            self.connection.close()
            if engine is not None and self._keep is not None and is_sound:
                engine.execute(f"DETACH {_FILE}")
                self._keep(engine)
                engine = None
        except duckdb.Error:
            # Closing the engine closes the file in any case.
            pass
        finally:
            if engine is not None:
                engine.close()


class Engines:
    """Those of one file, each used by one thread at a time. `settings` are made once."""

    def __init__(self, path: Path, *, options: str, spilled: Path, settings: str) -> None:
        self._attach = f"ATTACH {_quoted(path)} AS {_FILE} ({options}); USE {_FILE}"
        self._settings = f"SET temp_directory = {_quoted(spilled)}; {settings}"
        self._kept: list[duckdb.DuckDBPyConnection] = []
        _all.add(self)

    def attached(self) -> Attached:
        """The file, open.

        Raises:
            duckdb.Error: it is busy, or cannot be opened.
        """
        engine = self._engine()
        connection = engine.cursor()
        try:
            connection.execute(self._attach)
        except (duckdb.IOException, duckdb.ResourceInUseException):
            connection.close()
            self._keep(engine)
            raise
        except BaseException:
            connection.close()
            engine.close()
            raise
        return Attached(connection, engine, self._keep)

    def close(self) -> None:
        """Let go of all engines that nobody uses."""
        while (engine := self._taken()) is not None:
            engine.close()

    def _keep(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._kept.append(engine)

    def _taken(self) -> duckdb.DuckDBPyConnection | None:
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def _engine(self) -> duckdb.DuckDBPyConnection:
        if (kept := self._taken()) is not None:
            return kept
        engine = duckdb.connect()
        # No dataset may be taken for the database that there is without a file.
        engine.execute(f"ATTACH ':memory:' AS {_NO_FILE}; USE {_NO_FILE}; DETACH memory; {self._settings}")
        return engine


_all: WeakSet[Engines] = WeakSet()


def _close_all() -> None:
    for engines in list(_all):
        engines.close()


# An engine has threads, which stay behind in the process that forks; the other one would crash at its end.
os.register_at_fork(before=_close_all)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

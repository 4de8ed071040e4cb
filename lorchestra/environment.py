"""The environment of the process. Only here is it read; everyone else is given what it says."""

import os


def environment() -> dict[str, str]:
    """A copy of the environment of the process, without what `.env` adds to it in `Settings.environment`."""
    return dict(os.environ)  # noqa: TID251 - this is the one place where the environment is read

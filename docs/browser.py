"""The machine's Chromium, as the tests and the pictures of the page use it."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: It speaks to nobody but the page.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def browser_path() -> str:
    """Where it is.

    Raises:
        RuntimeError: there is none.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError(f"a browser is missing ({', '.join(NAMES)}). Type: apt-get install chromium")
    return found

"""Installs the dependency group `fuzz` beside what is there, by pip or by uv."""

import shutil
import subprocess
import sys


def main() -> None:
    pip = [sys.executable, "-m", "pip"]
    uv = [shutil.which("uv") or "uv", "pip"]
    has_pip = subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0
    where = [] if has_pip else ["--python", sys.executable]
    subprocess.run([*(pip if has_pip else uv), "install", "--quiet", *where, "--group", "fuzz"], check=True)


if __name__ == "__main__":
    main()

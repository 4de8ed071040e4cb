"""The fuzzer: `python -m tests.fuzz TARGET MINUTES`. It needs atheris, of the dependency group `fuzz`.

Inputs that reach something new are kept in `.fuzz/TARGET`. One that breaks a promise is written to
`tests/fuzz/corpus/TARGET`, where the test suite finds it, and ends the fuzzer.
"""

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    name, minutes = sys.argv[1], float(sys.argv[2])
    if Path("/dev/shm").is_dir():
        # What targets write needs no disk.
        tempfile.tempdir = "/dev/shm"
    import lorchestra

    with atheris.instrument_imports(include=["lorchestra"]):
        for module in pkgutil.walk_packages(lorchestra.__path__, "lorchestra."):
            importlib.import_module(module.name)
        from tests.fuzz.targets import TARGETS
    known, found = Path(__file__).with_name("corpus") / name, Path(".fuzz") / name
    found.mkdir(parents=True, exist_ok=True)
    known.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            str(found),
            str(known),
            f"-max_total_time={int(minutes * 60)}",
            f"-artifact_prefix={known}/",
            "-max_len=20000",
            "-timeout=60",
            "-rss_limit_mb=1500",
        ],
        TARGETS[name],
    )
    atheris.Fuzz()


main()

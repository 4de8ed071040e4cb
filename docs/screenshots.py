"""The pictures of the page: a project with a past, a real run, and a browser that looks at it."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from docs.browser import FLAGS, browser_path
from docs.past import PastJob, running, write_past
from docs.sample import COMMAND, ROOT, Sample, clean_environment, sample_project
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import Store, open_store

IMAGES = ROOT / "docs" / "images"
_WIDTH = 1100
_MAIL = "gmail_ingest_acct1"
_QUOTA = {"code": "quota.daily", "message": "the quota of today is used up"}
_LOGIN = {
    "code": "auth.expired",
    "message": "the login of acct2 has expired",
    "next_step": "Type: lorchestra auth gmail acct2",
}
PAST = (
    PastJob(
        name=_MAIL,
        source_system="tap-gmail--acct1-personal",
        every=timedelta(hours=6),
        ends=timedelta(minutes=20),
        seconds=14,
        new=22,
        fails_every=23,
        error=_QUOTA,
    ),
    PastJob(
        name="gmail_ingest_acct2",
        source_system="tap-gmail--acct2-practice",
        every=timedelta(hours=6),
        ends=timedelta(hours=1),
        seconds=31,
        new=64,
        failing=2,
        error=_LOGIN,
    ),
    PastJob(
        name="crm_contacts",
        source_system="crm--practice",
        object_type="contact",
        every=timedelta(hours=2),
        ends=timedelta(minutes=50),
        seconds=45,
        new=9,
        fails_every=41,
        error=_QUOTA,
    ),
    PastJob(
        name="payments_daily",
        source_system="pay--practice",
        object_type="payment",
        every=timedelta(days=1),
        ends=timedelta(days=2),
        seconds=48,
        new=120,
        error=_QUOTA,
    ),
)
_CONFIGURED = """
[jobs.{name}]
source = "takeout"
source_system = "{source_system}"
object_type = "{object_type}"
path = "examples/mail/takeout.mbox"
"""
#: Name, address, dark, height.
PICTURES = (
    ("page-overview", "/", False, 900),
    ("page-overview-dark", "/", True, 900),
    ("page-timeline", "/timeline?span=week", False, 460),
    ("page-run", f"/run?id={{{_MAIL}}}", False, 900),
    ("page-job", "/job?name=crm_contacts", False, 900),
)


def write_pictures(folder: Path, names: tuple[str, ...] = tuple(name for name, *_ in PICTURES)) -> None:
    """Take the pictures of these names into the folder."""
    with sample_project() as sample:
        newest = lived_in(sample)
        with served(sample) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
            for name, path, dark, height in PICTURES:
                if name in names:
                    address = path.format(**{_MAIL: newest})
                    take(browser, url, address, folder / f"{name}.png", dark=dark, height=height)
            browser.close()


def lived_in(sample: Sample, past: Sequence[PastJob] = PAST) -> str:
    """Give the project this past, and run its mailbox; the id of the newest run."""
    config = sample.folder / "lorchestra.toml"
    configured = [
        _CONFIGURED.format(name=job.name, source_system=job.source_system, object_type=job.object_type)
        for job in past[1:]
    ]
    config.write_text(config.read_text() + "".join(configured))
    now = datetime.now(UTC)
    with open_store(f"duckdb:///{sample.folder / 'lorchestra.duckdb'}") as store:
        write_past(store, past, now=now)
        for job in past[1:]:
            _store_objects(store, job, range(job.new * 40))
        seen_at = _store_objects(store, past[2], range(300, 366))
        store.append_events([running(past[2], now - timedelta(seconds=4), seen_at=seen_at)])
    done = sample.run("run", _MAIL)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()[0]


@contextmanager
def served(sample: Sample) -> Iterator[str]:
    """`lorchestra web` in the project; its URL, with the token."""
    command = [COMMAND, "web", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=sample.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.send_signal(signal.SIGINT)


def take(browser: Browser, url: str, path: str, file: Path, *, dark: bool, height: int) -> None:
    """Take a picture of one page."""
    with browser.new_context(
        viewport={"width": _WIDTH, "height": height}, color_scheme="dark" if dark else "light"
    ) as context:
        page = context.new_page()
        page.goto(url)
        page.goto(url.partition("/?")[0] + path)
        page.get_by_text("● live").wait_for()
        page.screenshot(path=file, animations="disabled")


def _store_objects(store: Store, job: PastJob, numbers: range) -> datetime:
    return upsert_objects(
        objects=[{"id": str(number)} for number in numbers],
        source_system=job.source_system,
        object_type=job.object_type,
        correlation_id=f"{job.name}-sample",
        idem_key_fn=lambda one: f"{job.source_system}:{job.object_type}:{one['id']}",
        bq_client=store,
    ).seen_at


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    write_pictures(IMAGES, tuple(sys.argv[1:]) or tuple(name for name, *_ in PICTURES))

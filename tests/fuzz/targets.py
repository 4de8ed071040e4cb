"""Every boundary at which bad input can come in: a function that raises only when a promise is broken."""

import sys
from collections.abc import Callable, Mapping

from tests.fuzz import gmail_targets, mail_targets, spool_targets, text_targets

Target = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        mail_targets.mbox,
        mail_targets.message,
        mail_targets.maildir,
        text_targets.toml,
        text_targets.dotenv,
        text_targets.store_url,
        text_targets.names,
        text_targets.sql,
        text_targets.parameter,
        text_targets.moment,
        text_targets.cursor,
        spool_targets.segment,
        spool_targets.outbox,
        spool_targets.marker,
        spool_targets.rejects,
        spool_targets.objects,
        spool_targets.event_payload,
        gmail_targets.gmail,
    )
}

if __name__ == "__main__":
    sys.stdout.write(" ".join(TARGETS) + "\n")

"""The `lorchestra.toml` that `lorchestra init` writes."""

import json

FILE_NAME = "lorchestra.toml"

_TEMPLATE = """\
# Every setting: docs/reference/settings.md. Environment variables and options override what stands here.

[store]
url = "duckdb:///lorchestra.duckdb"
# In BigQuery: url = "bigquery://my-project/events_dev", after pip install 'lorchestra[bigquery]'
# dataset = "events_dev"

# A Google Takeout export of a mailbox. Run it with: lorchestra run gmail_ingest_acct1
[jobs.gmail_ingest_acct1]
source = "takeout"
source_system = "tap-gmail--acct1-personal"
object_type = "email"
path = {mailbox}

# The mailbox itself, over the Gmail API: docs/gmail.md. Log in with: lorchestra auth gmail acct1
# [jobs.gmail_sync_acct1]
# source = "gmail"
# source_system = "tap-gmail--acct1-personal"
# object_type = "email"

# Any mbox file or Maildir folder; globs are allowed.
# [jobs.old_mail]
# source = "mbox"
# source_system = "mbox--archive"
# object_type = "email"
# path = "archive/**/*.mbox"
"""


def first_config(mailbox: str) -> str:
    """The file's text, with the mailbox as the first job's path."""
    # A JSON string is a TOML string.
    return _TEMPLATE.format(mailbox=json.dumps(mailbox, ensure_ascii=False))

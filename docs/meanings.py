"""What no program can know: the meaning of columns, payload keys and event types, in a few words each.

`docs.generate` fails when a name that it finds has no meaning here, and when a meaning has no name any more.
"""

CLI = (
    "stdout is data, stderr is talk. Exit codes: 0 done; 1 the job failed, or the store could not be used; "
    "2 wrong use or configuration, and nothing was done; 3 the job is being run already, and nothing was "
    "done; 130 ended by Ctrl-C. A run that is ended so gives its account, and 1."
)
SETTINGS = (
    "Settings come from `lorchestra.toml`, then the environment, then the options of the command; the later "
    "one wins. The file is the one that `--config` names, else `$LORCHESTRA_CONFIG`, else the nearest "
    "`lorchestra.toml` in the working directory or a folder above it. Without a file the defaults hold. An "
    "unknown key is an error."
)
ENVIRONMENT = (
    "An empty variable counts as unset. A file `.env` beside `lorchestra.toml` may set the variables of the "
    "store and `LORCHESTRA_NOTIFY_URLS`; the real environment wins over it."
)
LOGIN_VARIABLES = {
    "TAP_GMAIL_ACCT1_PERSONAL_CLIENT_ID": "With `…_CLIENT_SECRET` and `…_REFRESH_TOKEN`: the login of the "
    "Gmail job whose source_system is `tap-gmail--acct1-personal`. See [logins](../gmail-login.md).",
}
TABLES = (
    "Two tables and some views in the dataset (default: `events_dev`). Types are those of GoogleSQL. In the "
    "DuckDB file, STRING is VARCHAR and TIMESTAMP is TIMESTAMP WITH TIME ZONE."
)
EVENTS = (
    "A run that ingests leaves three events, whatever the number of objects. All events of a run carry its "
    "run id as `correlation_id`. Below are the keys of each payload as real runs write them."
)
QUERIES = (
    "`lorchestra query NAME` runs one of these. They are GoogleSQL. The table names are shown as they are by "
    "default; those configured are used."
)
ERRORS = (
    "Every error has a stable code, a sentence, and what to type next. The sentence and the next command "
    "stand on the screen; the code stands in `error_code` of the payload of the event of the failure, so "
    "that SQL can group by it. What is below holds for all errors of a code; the one on the screen knows "
    "more, and says the name instead of `JOB`.\n\n"
    "Exit codes: 0 done; 1 the job failed, or the store could not be used; 2 wrong use or configuration, "
    "and nothing was done; 3 the job is being run already, and nothing was done. Retryable: whether the "
    "same command may work later.\n\n"
    "Codes that end in `.error` are for what is classed nowhere. Sources, stores and jobs of other "
    "packages may raise them; those of lorchestra do not."
)
ERROR_GROUPS = {
    "UsageError": "The command or the configuration",
    "ObjectError": "Objects",
    "SourceError": "The source",
    "StoreError": "The store",
    "RunError": "Runs",
    "InternalError": "lorchestra itself",
    "OutputError": "What is printed",
}

EVENT_LOG = {
    "event_id": "UUIDv7: sorts by time. Appending an event whose id is already there adds nothing.",
    "event_type": "What happened, as `family.verb`; see [events](events.md).",
    "source_system": "`lorchestra` for `job.*`, else the account that was read.",
    "object_type": "`job_run` for `job.*`, else what was ingested, such as `email`.",
    "idem_key": "NULL for telemetry; set only to point at one object.",
    "correlation_id": "The run id, on every event of the run.",
    "trace_id": "The caller's W3C trace id, from `--trace-id` or `TRACEPARENT`; else NULL.",
    "created_at": "When the event was made, in UTC.",
    "status": "`ok` or `failed`.",
    "error_message": "One sentence, only when `failed`.",
    "payload": "A JSON object of small telemetry, at most 64 KiB.",
}

RAW_OBJECTS = {
    "idem_key": "The identity: `{source_system}:{object_type}:{natural id}`. One row per key.",
    "source_system": "The account that was read.",
    "object_type": "What it is, such as `email`.",
    "external_id": "The natural id at the source: the last part of the key.",
    "payload": "The object itself, as JSON.",
    "first_seen": "`seen_at` of the run that stored it first; it never changes.",
    "last_seen": "`seen_at` of the run that saw it last.",
}

VIEWS_INTRODUCTION = (
    "The public interface for dashboards of your own: names and columns stay. `lorchestra setup` makes them "
    "on every store, out of the GoogleSQL in `lorchestra/setup/sql/views`, and makes those anew that an "
    "older version left; `lorchestra setup --check` names what differs. What you want otherwise goes into "
    "views under names of your own."
)
_STATE_OF_RUN = "`running`, `succeeded` or `failed`."
_VIEW_COUNTS = {
    "records_extracted": "Records that the source gave.",
    "inserted": "Objects stored for the first time.",
    "updated": "Objects whose payload differed and was replaced.",
    "unchanged": "Objects that were there already, exactly so.",
    "known": "Objects that were there already and were not read again.",
    "gone": "Records that say they are deleted at the source.",
    "rejected": "Records that could not be stored; they are in the reject file.",
}
_ERROR_COLUMNS = {
    "error_message": "Why it failed.",
    "error_code": "The stable [code](errors.md) of why it failed.",
    "trace_id": "The caller's trace id.",
}
VIEW_SUMMARIES = {
    "job_runs": "One row per run: its events folded into its present state.",
    "ingestions": "One row per ingestion: what a run read from one source, and where it ended.",
    "sources": "One row per source and kind of object: how much is stored, and when something last came.",
    "emails": "One row per message, in whichever way it came. It reads the payloads, which on BigQuery are "
    "billed; narrow it by `idem_key`, or make a table of it.",
}
VIEWS = {
    "job_runs": {
        "run_id": "`{job_name}-{YYYYMMDDHHMMSS}`, in UTC.",
        "job_name": "The job.",
        "package_name": "Who brings it: `lorchestra` for a job of `lorchestra.toml`, else an installed "
        "package.",
        "host": "The machine it ran on.",
        "state": _STATE_OF_RUN,
        "started_at": "The time of the run's first event.",
        "ended_at": "The time of its last `job.*` event; NULL while it runs.",
        "duration_seconds": "How long it took, by a clock that nobody can set back; NULL while it runs.",
        **_VIEW_COUNTS,
        **_ERROR_COLUMNS,
        "next_step": "What to type then.",
        "is_partial": "Whether it read a part only: a retry, or a run with `--limit`. The others say what is "
        "usual.",
    },
    "ingestions": {
        "event_id": "That of `ingestion.completed` or `ingestion.failed`.",
        "run_id": "The run.",
        "source_system": "The account that was read.",
        "object_type": "What was read, such as `email`.",
        "state": "`succeeded` or `failed`.",
        "ended_at": "When it ended.",
        "duration_seconds": "How long it took, by a clock that nobody can set back.",
        **_VIEW_COUNTS,
        "duplicates": "Records that a later one with the same key in the same batch replaced.",
        "recovered": "Records that an earlier run left in the spool, merged first.",
        "objects": "Different objects that the run saw.",
        "batches": "Merges into `raw_objects`.",
        "bytes": "Bytes of JSON merged.",
        "since": "`--since`, in UTC.",
        "until": "`--until`, in UTC.",
        "seen_at": "The run's timestamp for `last_seen`: joins it with `raw_objects`.",
        "cursor": "Where the next run goes on.",
        **_ERROR_COLUMNS,
    },
    "sources": {
        "source_system": "The account.",
        "object_type": "The kind of object.",
        "objects": "Rows of `raw_objects`.",
        "newest_first_seen": "When a new object last came.",
        "newest_last_seen": "When an object was last seen.",
        "last_good_run": "The run of the newest `ingestion.completed`.",
        "last_good_at": "When that was.",
    },
    "emails": {
        "idem_key": "The message's key in `raw_objects`.",
        "source_system": "The account.",
        "external_id": "The message's id at the source.",
        "thread_id": "The thread it belongs to.",
        "sender": "`From`, as it stands in the header.",
        "recipients": "`To`, as it stands in the header.",
        "subject": "`Subject`.",
        "date": "When the mail service took it: Gmail's `internalDate`.",
        "labels": "Ids of its labels; over the API an own label has no other name here.",
        "has_attachment": "Whether a part of it has a file name; NULL where it is stored without its parts.",
        "size": "Its size in bytes, as the source estimates it.",
        "first_seen": "`seen_at` of the run that stored it first.",
        "last_seen": "`seen_at` of the run that saw it last.",
    },
}

EVENT_TYPES = {
    "job.started": "Before anything is read. If it cannot be written, nothing is read.",
    "ingestion.completed": "When every record that was read is merged or in the reject file.",
    "ingestion.failed": "When reading or merging raised. It says what was done until then.",
    "job.completed": "When the job has returned.",
    "job.failed": "When the job raised or was interrupted, or when a later command found its process dead.",
}

_RUN = {
    "job_name": "The job.",
    "package_name": "Who brings the job.",
}
_DURATION = {"duration_seconds": "Seconds by the monotonic clock."}
_ERROR = {
    "error_type": "The class of the error.",
    "error_code": "Its stable [code](errors.md).",
    "retryable": "Whether the same command may work later.",
}
_INGESTION = {
    **_DURATION,
    "records_extracted": "Records that the source gave.",
    "inserted": "Objects stored for the first time.",
    "updated": "Objects whose payload differed and was replaced.",
    "unchanged": "Objects that were there already, exactly so.",
    "known": "Objects that were there already and were not read again: the source still has them.",
    "duplicates": "Records that a later one with the same key in the same batch replaced.",
    "rejected": "Records that could not be stored.",
    "gone": "Records that say they are deleted at the source.",
    "recovered": "Records that an earlier run left in the spool, merged first. They are in the counts above, "
    "not in `records_extracted`.",
    "objects": "Different objects that the run saw: so many rows had its `seen_at` when it ended. "
    "`lorchestra verify` compares it.",
    "batches": "Merges into `raw_objects`.",
    "bytes": "Bytes of JSON merged.",
    "date_filter.since": "`--since`, in UTC.",
    "date_filter.until": "`--until`, in UTC.",
    "reject_reasons": "How many records were rejected for each reason.",
    "seen_at": "The run's timestamp for `last_seen`.",
    "records_over_time": "At most 42 pairs of seconds since its start and records until then.",
}
#: Only in a run that `lorchestra retry` made.
RETRY = {"resolved": "Rejects of the other run that are stored now, or gone at the source."}

#: Only in `job.completed` of a run that was not like those before it.
UNUSUAL = {
    "unusual": "A list of objects `{kind, message}`. `kind` is `quiet` (nothing new where there always was) "
    "or `slow`; `message` is a sentence for people.",
}

#: Only in a run of `lorchestra verify`.
VERIFY = {
    "checks": "Comparisons that were made.",
    "missing": "Those that found something missing.",
    "unknown": "Those that could not be made: the source did not answer, for one.",
}

#: Only in a run that `lorchestra prune` made.
PRUNE = {
    "events_deleted": "Events that were deleted.",
    "runs_deleted": "The runs that they were of.",
    "before": "Runs that ended before this moment were looked at.",
}

#: What `ingestion.*` tells besides, where the source is `gmail`.
GMAIL = {
    "quota": "Which of Google's limits are in force, `new` or `old`; null while no limit was met.",
    "quota_units": "Units of quota that the calls used.",
    "calls": "Calls of the API.",
    "calls_refused": "Calls that were refused over a limit, and made again.",
    "throttled_seconds": "How long refusals held the run up.",
    "retries": "Calls that were made again after an error that passed.",
    "not_found": "Messages that were gone when their turn came.",
    "history_expired": "`true` where the API's history did not reach back to the cursor; else not there.",
    "listed_since": "Since when messages were fetched anew for that; else not there.",
}
#: What `ingestion.*` tells besides, where the store is BigQuery.
USAGE = {
    "load_jobs": "Load jobs: one a batch.",
    "query_jobs": "Queries: the look before each MERGE, and the MERGE.",
    "dml_statements": "MERGE statements, and UPDATEs for what was seen again.",
    "bytes_estimated": "What the dry runs said that the MERGEs would read.",
    "bytes_processed": "What looks and MERGEs read, by the statistics of the jobs.",
    "bytes_billed": "What of that is billed.",
    "staging_tables_left": "Staging tables that could not be dropped; they have an end of their own.",
    "api_calls": "Calls of the service, without repetitions and questions about a running job.",
}
BIGQUERY = (
    "What may stand in the URL of a BigQuery store, as `bigquery://PROJECT/DATASET?location=EU`. "
    "See [BigQuery](../bigquery.md)."
)
BIGQUERY_OPTIONS = {
    "location": "Where a new dataset is made, and where jobs run; else as the service chooses.",
    "credentials": "Key file of a service account, relative to the folder of the configuration. Without it: "
    "Application Default Credentials.",
    "impersonate": "Service account to act as.",
    "quota_project": "Project whose quota is used and that pays for calls; else the project itself.",
}

PAYLOADS = {
    "job.started": {
        **_RUN,
        "seen_at": "The run's timestamp for `last_seen`: what it stores can be counted while it runs.",
        "parameters": "Options of the command and the job's settings, secrets masked.",
        "host": "The machine.",
        "pid": "The process.",
        "version": "That of lorchestra.",
    },
    "ingestion.completed": {
        **_INGESTION,
        "cursor": "Where the next run goes on; null for sources that are read whole each time.",
    },
    "ingestion.failed": {
        **_INGESTION,
        **_ERROR,
        "resume.segments_kept": "Spool files that wait for the next run of the job.",
        "resume.cursor": "Where the next run goes on. Of a dead process there is this and the error alone.",
    },
    "job.completed": {**_RUN, **_DURATION},
    "job.failed": {
        **_RUN,
        "duration_seconds": "Seconds by the monotonic clock; of a dead process, until its last sign of life.",
        **_ERROR,
        "next_step": "What to type, as the terminal said it.",
        "stack_hint": "File, line and function that raised. Not there for a dead process.",
        "last_alive_at": "When the run gave its last sign of life; only when it was found dead.",
        "pid": "The process; only when it was found dead.",
    },
}

"""The error tree, grouped by what can be done about it.

    LorchestraError
    ├── UsageError            exit 2: the command, its arguments or the configuration is wrong
    │   ├── ArgumentError     also a ValueError: a bad argument to a public function
    │   ├── ConfigError       a setting, with file, line and key
    │   └── UnknownJobError
    ├── RecordError           one record is bad; the rest goes on
    │   ├── IdemKeyError      also a ValueError: a record without a usable identity
    │   └── RecordTooLargeError
    ├── SourceError           the source could not be read
    │   ├── SourceUnavailableError   retryable
    │   ├── SourceLoginError
    │   ├── SourceQuotaError         retryable
    │   └── SourcePermanentError
    ├── StoreError            the store could not be read or written
    │   ├── StoreBusyError           retryable
    │   ├── StoreSchemaError  the tables are not what this version needs
    │   ├── StoreUnavailableError    retryable
    │   ├── StoreLoginError
    │   ├── StoreAccessError
    │   ├── StoreQuotaError          retryable
    │   └── QueryError        exit 2: the user's own SQL is refused
    └── RunError              a run could not begin or was cut short
        ├── AlreadyRunningError
        ├── SpoolError               retryable
        └── RunInterruptedError      retryable

Messages name the field, never its value: no content of an object, address or token may stand in one.
`code` is stable and goes into event payloads as `error_code`; `next_step` is what the user can type.
"""

from typing import ClassVar


class LorchestraError(Exception):
    """Something lorchestra can explain: one sentence, a stable code, and the next step.

    `place` (a file, a folder) is for the person at the terminal; unlike the message it is never stored.
    """

    code: ClassVar[str] = "lorchestra.error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, next_step: str | None = None, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.next_step = next_step


class UsageError(LorchestraError):
    """The command or its arguments are wrong; nothing was done."""

    code = "usage"
    exit_code = 2


class ArgumentError(UsageError, ValueError):
    """A public function was given a bad argument; the message begins with its name."""

    code = "usage.argument"


class ConfigError(UsageError):
    """A setting is wrong; the message says where it stands."""

    code = "config.invalid"


class UnknownJobError(UsageError):
    """No job has this name."""

    code = "job.unknown"


class RecordError(LorchestraError):
    """One record cannot be stored; the others can."""

    code = "record.invalid"


class IdemKeyError(RecordError, ValueError):
    """A record's identity field is missing, empty or not a scalar; the message names the field."""

    code = "record.no_identity"


class RecordTooLargeError(RecordError):
    """A record is larger than an object may be."""

    code = "record.too_large"


class SourceError(LorchestraError):
    """The source could not be read."""

    code = "source.error"


class SourceUnavailableError(SourceError):
    """The source did not answer; the same call may work later."""

    code = "source.unavailable"
    retryable = True


class SourceLoginError(SourceError):
    """The source refused the login."""

    code = "source.login"


class SourceQuotaError(SourceError):
    """The source's quota is used up for now."""

    code = "source.quota"
    retryable = True


class SourcePermanentError(SourceError):
    """The source cannot be read, and trying again will not help."""

    code = "source.permanent"


class StoreError(LorchestraError):
    """The store could not be read or written."""

    code = "store.error"


class StoreBusyError(StoreError):
    """Another process kept the store longer than we wait."""

    code = "store.busy"
    retryable = True


class StoreSchemaError(StoreError):
    """The tables are missing or differ from what this version needs."""

    code = "store.schema"


class StoreUnavailableError(StoreError):
    """The store cannot be opened or written: no such place, no rights, no space."""

    code = "store.unavailable"
    retryable = True


class StoreLoginError(StoreError):
    """The store's service was given no credentials, or refused them."""

    code = "store.login"


class StoreAccessError(StoreError):
    """The store's service knows who asks, and that this is not permitted."""

    code = "store.access"


class StoreQuotaError(StoreError):
    """A quota of the store's service is used up for now."""

    code = "store.quota"
    retryable = True


class ObjectRefusedError(StoreError):
    """The store does not take one object as it is; others it takes."""

    code = "store.object_refused"


class QueryError(StoreError):
    """The store refused a query's text or parameters."""

    code = "query.invalid"
    exit_code = 2


class RunError(LorchestraError):
    """A run could not begin, or was cut short."""

    code = "run.error"


class AlreadyRunningError(RunError):
    """Another process on this host runs the job."""

    code = "run.already_running"


class SpoolError(RunError):
    """The spool directory cannot be written or read."""

    code = "spool.unavailable"
    retryable = True


class RunInterruptedError(RunError):
    """A signal ended the run."""

    code = "run.interrupted"
    retryable = True


class MissingObjectsError(RunError):
    """A check found something missing."""

    code = "verify.missing"

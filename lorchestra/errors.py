"""The error tree, grouped by what can be done about it.

    LorchestraError
    ├── UsageError            exit 2: the command, its arguments or the configuration is wrong
    │   ├── ArgumentError     also a ValueError: a bad argument to a public function
    │   ├── ConfigError       a setting, with file, line and key
    │   ├── UnknownJobError
    │   └── UnknownRunError
    ├── ObjectError           one object is bad; the rest goes on
    ├── SourceError           the source could not be read
    │   ├── AuthError         the login: a person has to do something
    │   └── QuotaError        retryable: nothing is wrong, but not now
    ├── StoreError            the store could not be read or written
    │   └── QueryError        exit 2: the user's own SQL is refused
    ├── RunError              a run could not begin, was cut short, or found something amiss
    │   └── AlreadyRunningError   exit 3: nothing was done
    └── InternalError         a defect of lorchestra

Each class has a `code`, which is stable and goes into event payloads as `error_code`; the first paragraph of
its docstring says what it means; `next_step` is what to type, unless an error knows better. The page
docs/reference/errors.md is made of them. Classes whose code ends in `.error` are groups: ours raise what is
below them; sources, stores and jobs of other packages may raise them for what is classed nowhere.

Messages name the field, never its value: no content of an object, address or token may stand in one.
"""

from collections.abc import Mapping
from typing import ClassVar

_READ_THE_EVENT = "`lorchestra runs show RUN_ID` shows how far it came; `lorchestra run JOB` tries again."
_AGAIN = "Later, type: lorchestra run JOB. It goes on where it was."
_SAME_COMMAND = "Then run the same command again."
_LOGIN_AGAIN = "Type: lorchestra auth gmail NAME"
_LOOK = "`lorchestra doctor` says what is wrong, and what to type."
_REJECTS = "Correct it at the source; `lorchestra retry RUN_ID` asks for it again."


class LorchestraError(Exception):
    """Something failed that is classed nowhere.

    `place` (a file, a folder) is for the person at the terminal; unlike the message it is never stored.
    """

    code: ClassVar[str] = "lorchestra.error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    #: The class has one for all its errors. In it, JOB, RUN_ID and NAME stand for what the class cannot know.
    next_step: str = _LOOK

    def __init__(self, message: str, *, next_step: str | None = None, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        if next_step is not None:
            self.next_step = next_step


class InternalError(LorchestraError):
    """lorchestra itself has a defect; nothing is wrong with the command."""

    code = "lorchestra.internal"
    next_step = (
        "To see more, type the same command with --traceback after `lorchestra`; that may show data. "
        "Then report it to those who gave you lorchestra, with its version: lorchestra --version"
    )


class OutputError(LorchestraError):
    """What a command has to say cannot be written: the disk behind `>` is full, for one."""

    code = "lorchestra.output"
    next_step = f"`df -h` shows what is free. {_SAME_COMMAND}"


# The command or the configuration


class UsageError(LorchestraError):
    """The command or its arguments are wrong; nothing was done."""

    code = "usage.invalid"
    exit_code = 2
    next_step = "`lorchestra --help` shows the commands, and with a command in between, its options."


class ArgumentError(UsageError, ValueError):
    """An argument has no value that can be used; the message begins with its name."""

    code = "usage.argument"


class ConfigError(UsageError):
    """A setting is wrong; the message says where it stands."""

    code = "config.invalid"
    next_step = "Correct it, then type: lorchestra jobs list"


class UnknownKeyError(ConfigError):
    """A key in the configuration is known nowhere; the message has the one that was probably meant."""

    code = "config.unknown_key"


class MissingKeyError(ConfigError):
    """A key that the configuration needs is not there."""

    code = "config.missing_key"


class UnknownJobError(UsageError):
    """No job has this name; the message has near matches."""

    code = "job.unknown"
    next_step = "`lorchestra jobs list` shows their names."


class UnknownRunError(UsageError):
    """No run has this id."""

    code = "run.unknown"
    next_step = "`lorchestra runs` shows their ids."


# Objects


class ObjectError(LorchestraError):
    """One object cannot be stored, because it is no JSON object; the others can."""

    code = "object.invalid"
    next_step = _REJECTS

    @property
    def reason(self) -> str:
        """The code without its family: the word for it in reject files and `reject_reasons`."""
        return self.code.removeprefix("object.")


class IdemKeyError(ObjectError, ValueError):
    """The field that an object is known by is missing, empty or not a scalar; the message names it."""

    code = "object.no_identity"


class ObjectTooLargeError(ObjectError):
    """An object is larger than one may be."""

    code = "object.too_large"


# The source


class SourceError(LorchestraError):
    """The source could not be read, for a reason that it does not class."""

    code = "source.error"
    next_step = _READ_THE_EVENT


class SourceUnavailableError(SourceError):
    """The source did not answer; nothing is wrong with what it was asked."""

    code = "source.unavailable"
    retryable = True
    next_step = _AGAIN


class SourceUnreadableError(SourceError):
    """The source cannot be read as it is, and trying again does not help."""

    code = "source.unreadable"
    next_step = "`lorchestra jobs show JOB` shows its settings. Correct them, then type: lorchestra run JOB"


class AuthError(SourceError):
    """The login cannot be used, for a reason that is not classed."""

    code = "auth.error"
    next_step = _LOGIN_AGAIN


class AuthMissingError(AuthError):
    """There is no login, or only part of one."""

    code = "auth.missing"


class AuthUnreadableError(AuthError):
    """A file or the keyring that holds a login or a key cannot be used, or is not safe."""

    code = "auth.unreadable"


class AuthExpiredError(AuthError):
    """The login was good once and has ended, or was withdrawn."""

    code = "auth.expired"


class AuthScopeError(AuthError):
    """The login is good, and does not allow what is needed; for Gmail, reading mail."""

    code = "auth.scope"


class AuthRefusedError(AuthError):
    """The service does not take the login or the client it came with."""

    code = "auth.refused"


class AuthForbiddenError(AuthError):
    """An administrator, or the settings of the project or organisation, do not permit it."""

    code = "auth.forbidden"
    next_step = "Ask whoever administers it; then `lorchestra doctor` says whether it is permitted."


class AuthConsentError(AuthError):
    """Nobody gave the consent that was asked for, or what came back is no answer to it."""

    code = "auth.no_consent"


class AuthMailboxError(AuthError):
    """The login is good, and there is no mailbox for it."""

    code = "auth.no_mailbox"
    next_step = "Check the account, or `subject` of a service account; then type: lorchestra doctor"


class AuthClockError(AuthError):
    """The clock of this machine is wrong, and so the service takes no login."""

    code = "auth.clock"
    next_step = "Set the clock, for example: sudo timedatectl set-ntp true. Then type: lorchestra run JOB"


class QuotaError(SourceError):
    """A quota of the source is used up, and it does not say which."""

    code = "quota.error"
    retryable = True
    next_step = _AGAIN


class UserRateError(QuotaError):
    """The source lets no more calls of this user in for now."""

    code = "quota.user_rate"


class ProjectRateError(QuotaError):
    """The source lets no more calls of this project in for now, whoever makes them."""

    code = "quota.project_rate"


class ConcurrencyError(QuotaError):
    """The source has too many calls of this user at the same time."""

    code = "quota.concurrency"


class DailyQuotaError(QuotaError):
    """What the source gives in one day is used up."""

    code = "quota.daily"
    next_step = "Tomorrow, type: lorchestra run JOB. It goes on where it was."


# The store


class StoreError(LorchestraError):
    """The store could not be read or written, for a reason that it does not class."""

    code = "store.error"


class StoreBusyError(StoreError):
    """Others kept the store longer than we wait; of a DuckDB file, the message names the program."""

    code = "store.busy"
    retryable = True
    next_step = f"Wait for the others, or close them. {_SAME_COMMAND}"


class StoreUnreachableError(StoreError):
    """The store could not be reached: there is no such folder, or the service did not answer."""

    code = "store.unreachable"
    retryable = True


class StoreFullError(StoreError):
    """There is no space for what is to be written; nothing that was read is lost."""

    code = "store.full"
    retryable = True
    next_step = f"`df -h .` shows what is free. Make space there. {_SAME_COMMAND}"


class StoreReadOnlyError(StoreError):
    """The store's file may not be read or written by this user, or stands where nothing can be written."""

    code = "store.read_only"
    next_step = "Get rights for the file and its folder; then `lorchestra doctor` says whether they suffice."


class StoreUnreadableError(StoreError):
    """What stands in the store's place is no store."""

    code = "store.unreadable"
    next_step = "Move it away, or set url under [store] to another place; then type: lorchestra setup"


class StoreSchemaError(StoreError):
    """The tables are missing, or are not what this version needs."""

    code = "store.schema"
    next_step = "`lorchestra setup` makes what is missing; `lorchestra setup --check` shows what differs."


class StoreAuthError(StoreError):
    """The store's service was given no credentials, or does not take them."""

    code = "store.auth"


class StoreAccessError(StoreError):
    """The store's service knows who asks, and does not permit it."""

    code = "store.access"
    next_step = "`lorchestra doctor` names the permission, and the command that grants it."


class StoreQuotaError(StoreError):
    """A quota of the store's service is used up for now; nothing that was read is lost."""

    code = "store.quota"
    retryable = True
    next_step = f"Wait. {_SAME_COMMAND}"


class ObjectRefusedError(StoreError):
    """The store does not take one object as it is; others it takes."""

    code = "store.object_refused"
    next_step = _REJECTS


class QueryError(StoreError):
    """The store refuses a query's text or parameters."""

    code = "query.invalid"
    exit_code = 2
    next_step = "Correct it. `lorchestra query --help` shows how to give parameters."


# Runs


class RunError(LorchestraError):
    """A run could not begin, or was cut short, for a reason that is not classed."""

    code = "run.error"
    next_step = _READ_THE_EVENT


class AlreadyRunningError(RunError):
    """Another process on this host runs the job; nothing was done."""

    code = "run.already_running"
    exit_code = 3
    retryable = True
    next_step = "Wait for it to end; `lorchestra runs --status running` shows it."


class RunInterruptedError(RunError):
    """A signal ended the run, or its process was found dead."""

    code = "run.interrupted"
    retryable = True
    next_step = "What was read until then is kept; `lorchestra run JOB` goes on."


class JobRaisedError(RunError):
    """The job raised an error that is not one of lorchestra's; `stack_hint` in the event says where."""

    code = "job.raised"
    next_step = "`lorchestra run JOB --traceback` shows more; it may show data."


class JobExitedError(RunError):
    """The job ended the process instead of returning."""

    code = "job.exited"
    next_step = "Correct the job: it returns, or raises. `lorchestra run JOB --traceback` shows where."


class SpoolError(RunError):
    """The spool folder cannot be read or written, or its disk is full."""

    code = "spool.unavailable"
    retryable = True
    next_step = f"`df -h .` shows what is free. Make space there, or set path under [spool]. {_SAME_COMMAND}"


class MissingObjectsError(RunError):
    """A check found that something is missing. Its `counts` stand in the event of the failure."""

    code = "verify.missing"
    next_step = "`lorchestra run JOB` reads again what the source has."

    def __init__(
        self,
        message: str,
        *,
        next_step: str | None = None,
        place: str | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step, place=place)
        self.counts = counts or {}

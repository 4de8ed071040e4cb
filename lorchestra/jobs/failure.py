"""What may be told of an error: enough to find its cause, nothing of the data it was raised over."""

import re
from pathlib import Path

from lorchestra.errors import JobExitedError, JobRaisedError, LorchestraError, RunInterruptedError
from lorchestra.redact import redact_text

_PLACEHOLDER = re.compile(r"(?<![\w.-])(?:JOB|RUN_ID)(?![\w-]|\.\w)")


def explained(error: BaseException, job_name: str = "JOB", run_id: str = "RUN_ID") -> LorchestraError:
    """The error as one that can be told at the terminal: the next command in it names the job and the run."""
    if not isinstance(error, LorchestraError):
        error = _kind(error)(describe(error))
    error.next_step = named(error.next_step, job_name, run_id)
    return error


def named(next_step: str, job_name: str, run_id: str) -> str:
    """What to type, with the names in it. Names that are in it already stay, whatever they are made of."""
    names = {"JOB": job_name, "RUN_ID": run_id}
    return _PLACEHOLDER.sub(lambda found: names[found[0]], next_step)


def describe(error: BaseException) -> str:
    """One sentence that holds none of the error's data: only our own messages are known to be clean."""
    if isinstance(error, LorchestraError) and error.message.strip():
        return redact_text(error.message)
    if isinstance(error, SystemExit):
        return "The job exited the process instead of returning."
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted by a signal."
    return f"The job raised {type(error).__name__} in {stack_hint(error)}."


def next_step(error: BaseException, job_name: str, run_id: str) -> str:
    """What to type; like the sentence it holds no data."""
    return redact_text(explained(error, job_name, run_id).next_step)


def next_step_of(code: str | None, *, job_name: str, run_id: str) -> str:
    """What to type where an event tells only the code of an error."""
    kinds = [LorchestraError]
    for kind in kinds:
        if kind.code == code:
            return named(kind.next_step, job_name, run_id)
        kinds += kind.__subclasses__()
    return f"`lorchestra runs show {run_id}` shows how far it came."


def error_code(error: BaseException) -> str:
    """The stable code of what ended a run; the `code` of other people's errors may be anything."""
    return _kind(error).code


def is_retryable(error: BaseException) -> bool:
    """Whether the same run may succeed later, as far as is known."""
    return _kind(error).retryable


def _kind(error: BaseException) -> type[LorchestraError]:
    match error:
        case LorchestraError():
            return type(error)
        case KeyboardInterrupt():
            return RunInterruptedError
        case SystemExit():
            return JobExitedError
        case _:
            return JobRaisedError


def stack_hint(error: BaseException) -> str:
    """Where it was raised, as file and line: code, never data."""
    traceback = error.__traceback__
    if traceback is None:
        return "an unknown place"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{Path(code.co_filename).name}:{traceback.tb_lineno} in {code.co_name}"

"""What may be told of an error: enough to find its cause, nothing of the data it was raised over."""

from pathlib import Path

from lorchestra.errors import LorchestraError, RunInterruptedError
from lorchestra.redact import redact_text


def describe(error: BaseException) -> str:
    """One sentence that holds none of the error's data: only our own messages are known to be clean."""
    if isinstance(error, LorchestraError) and error.message.strip():
        return redact_text(error.message)
    if isinstance(error, SystemExit):
        return "The job exited the process instead of returning."
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted by a signal."
    return f"The job raised {type(error).__name__} in {stack_hint(error)}."


def explained(error: BaseException, job_name: str) -> LorchestraError:
    """The error as one that can be told at the terminal, with the next command to type."""
    if isinstance(error, LorchestraError):
        return error
    if isinstance(error, KeyboardInterrupt):
        step = f"What was read until then is kept; `lorchestra run {job_name}` goes on."
    else:
        step = f"`lorchestra run {job_name} --traceback` shows more; it may show data."
    return LorchestraError(describe(error), next_step=step)


def error_code(error: BaseException) -> str:
    """The stable code of what ended a run; the `code` of other people's errors may be anything."""
    if isinstance(error, LorchestraError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return RunInterruptedError.code
    return "job.exited" if isinstance(error, SystemExit) else "job.raised"


def is_retryable(error: BaseException) -> bool:
    """Whether the same run may succeed later, as far as is known."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, LorchestraError) and error.retryable)


def stack_hint(error: BaseException) -> str:
    """Where it was raised, as file and line: code, never data."""
    traceback = error.__traceback__
    if traceback is None:
        return "an unknown place"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{Path(code.co_filename).name}:{traceback.tb_lineno} in {code.co_name}"

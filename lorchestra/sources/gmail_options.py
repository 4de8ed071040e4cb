"""The options of `source = "gmail"`."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from tzlocal import get_localzone

from lorchestra.errors import ArgumentError
from lorchestra.sources.google_login_options import GoogleLoginOptions, SafeUrl
from lorchestra.timespan import parse_moment

_AGO = re.compile(r"[0-9]{1,9}[hdw]")
_Label = Annotated[str, Field(min_length=1)]


class GmailOptions(GoogleLoginOptions):
    """The options of `source = "gmail"`."""

    format: Literal["full", "raw", "metadata"] = Field(
        default="full",
        description="What of each message is fetched: `full` (headers and parts), `raw` (byte for byte) or "
        "`metadata` (headers alone). All cost the same.",
    )
    attachments: bool = Field(
        default=False,
        description="Whether attachments are fetched too, with `full`; each costs as much as a message.",
    )
    attachment_bytes_max: int = Field(
        default=5_000_000, ge=0, description="The largest attachment that is fetched, in bytes."
    )
    q: str = Field(
        default="", description="Only messages that this search finds, as typed into Gmail: `-in:chats`."
    )
    labels: list[_Label] = Field(
        default=[], description="Only messages that have all of these labels, by name or id."
    )
    include_spam_trash: bool = Field(default=False, description="Whether spam and trash are fetched too.")
    backfill: str | None = Field(
        default=None,
        description="How far back the first sync goes: `90d`, `52w` or a day such as `2024-01-01`. "
        "Everything, if left out.",
    )
    refetch: bool = Field(
        default=False,
        description="Fetch listed messages again that the table has already, as after `format` was changed.",
    )
    quota: Literal["auto", "new", "old"] = Field(
        default="auto",
        description="Which of Google's limits are in force: `new` (6,000 units a user and minute, 20 a "
        "message), `old` (15,000 and 5: projects that used the API before May 2026), or found out.",
    )
    quota_units_per_minute: int | None = Field(
        default=None,
        ge=600,
        description="Units a minute in place of the limit of the user; 600 at least, which is a message in "
        "two seconds.",
    )
    endpoint: SafeUrl | None = Field(
        default=None, description="Replaces `https://gmail.googleapis.com`, for a proxy."
    )

    @field_validator("backfill")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                _since(value, datetime.now(UTC))
            except ArgumentError:
                raise ValueError("must be so long ago (90d, 52w) or a day (2024-01-01)") from None
        return value

    @model_validator(mode="after")
    def _attachments_of_full(self) -> Self:
        if self.attachments and self.format != "full":
            raise ValueError('attachments: are fetched with format = "full" only')
        return self

    def backfill_since(self, now: datetime) -> datetime | None:
        """From where on the first sync fetches, in UTC; None is from the beginning."""
        return None if self.backfill is None else _since(self.backfill, now)


def _since(text: str, now: datetime) -> datetime:
    return parse_moment(f"-{text}" if _AGO.fullmatch(text) else text, now=now, zone=get_localzone())

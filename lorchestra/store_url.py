"""The URLs of stores, taken apart: `bigquery://project/dataset?location=EU`."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from lorchestra.errors import ConfigError, UnknownKeyError

_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_DATASET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXAMPLE = 'Write it as "bigquery://my-project/events_dev", or with ?location=EU after it.'


@dataclass(frozen=True, kw_only=True, slots=True)
class BigQueryUrl:
    """A project in BigQuery, and how to get in.

    `credentials` is the file of a service account, `impersonate` the service account to act as; without
    either, Application Default Credentials are used. `quota_project` pays for the calls, the project itself
    when it is None. `location` is where a new dataset is made and where jobs run.
    """

    project: str
    dataset: str | None = None
    location: str | None = None
    credentials: str | None = None
    impersonate: str | None = None
    quota_project: str | None = None

    def __str__(self) -> str:
        """The URL again."""
        options = {name: getattr(self, name) for name in OPTIONS if getattr(self, name) is not None}
        path = f"/{self.dataset}" if self.dataset else ""
        query = f"?{urlencode(options, safe='/@:')}" if options else ""
        return f"bigquery://{self.project}{path}{query}"


#: What may stand after the `?`, as `name=value`.
OPTIONS = ("location", "credentials", "impersonate", "quota_project")


def is_bigquery(url: str) -> bool:
    """Whether a URL is that of a BigQuery store."""
    return url.lower().startswith("bigquery://")


def parse_bigquery_url(url: str) -> BigQueryUrl:
    """The parts of `bigquery://project[/dataset][?location=…&credentials=…&impersonate=…&quota_project=…]`.

    Raises:
        ConfigError: it has another form; the message never repeats it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("store.url: is no URL", next_step=_EXAMPLE) from None
    dataset = parts.path.strip("/")
    if not _PROJECT.fullmatch(parts.netloc):
        raise ConfigError("store.url: names no BigQuery project", next_step=_EXAMPLE)
    if dataset and not _DATASET.fullmatch(dataset):
        raise ConfigError("store.url: after the project comes one dataset", next_step=_EXAMPLE)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in options.items():
        if name not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise UnknownKeyError(f"store.url: unknown option {name}; known: {known}", next_step=_EXAMPLE)
        if not value:
            raise ConfigError(f"store.url: the option {name} is empty", next_step=_EXAMPLE)
    return BigQueryUrl(project=parts.netloc, dataset=dataset or None, **options)


def dataset_in(url: str) -> str | None:
    """The dataset that a store's URL names, if it names one."""
    return parse_bigquery_url(url).dataset if is_bigquery(url) else None

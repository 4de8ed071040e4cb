"""The registry of identity rules: one pure function per source family, each returning a key function.

A key is `{source_system}:{object_type}:{natural id}`. The first two parts contain no `:`, the natural id may,
so a key can be taken apart again and two different identities never share one. A natural id is a string or
an integer and enters the key in its string form: `7` and `"7"` are the same id, as a source that changes
the JSON type of its ids means the same object. Identity rules never change once objects are stored: a
changed rule would store every object a second time.

Every factory raises `ArgumentError`, beginning with the argument's name, for a part that is empty, not a
string, or contains `:`. Every key function raises `IdemKeyError`, naming the field but never its value, for
an object whose identity is missing, empty or neither string nor integer.
"""

from collections.abc import Mapping
from typing import Any

from lorchestra.errors import ArgumentError, IdemKeyError
from lorchestra.model import IdemKeyFn

# JSON integers beyond these cannot be stored, and Python refuses to print the very large ones.
_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1


def gmail_idem_key(source_system: str) -> IdemKeyFn:
    """Gmail messages: `id` is the messageId, stable for the life of the message in its mailbox."""
    return _key_fn(source_system, "email", id_field="id")


def exchange_message_idem_key(source_system: str) -> IdemKeyFn:
    """Exchange messages by `id`.

    Exchange gives a moved message another id unless it is asked for immutable ids; the key is only as stable
    as the id that was asked for.
    """
    return _key_fn(source_system, "email", id_field="id")


def stripe_charge_idem_key(source_system: str) -> IdemKeyFn:
    """Stripe charges by `id`. The same keys as `stripe_object_idem_key` gives for charges."""
    return _key_fn(source_system, "charge", id_field="id")


def stripe_object_idem_key(source_system: str) -> IdemKeyFn:
    """Stripe objects of any type: the type is what the object says in `object` (`customer`, `invoice`, …).

    An object without a usable `object` has no identity: `IdemKeyError`.
    """
    _check_part("source_system", source_system)

    def key(obj: Any) -> str:
        object_type = _field(obj, "object")
        if not isinstance(object_type, str) or not object_type or ":" in object_type:
            raise IdemKeyError("object: must be a non-empty string without ':'")
        _check_text("object", object_type)
        return f"{source_system}:{object_type}:{_natural_id(obj, 'id')}"

    return key


def dataverse_row_idem_key(source_system: str, *, table: str, id_field: str) -> IdemKeyFn:
    """Dataverse rows by table and primary id (`table="contact", id_field="contactid"`)."""
    _check_part("table", table)
    return _key_fn(source_system, table, id_field=id_field)


def external_id(idem_key: str, *, source_system: str, object_type: str) -> str | None:
    """The natural id in a key of this source and type; None for a key of another or of none."""
    prefix = f"{source_system}:{object_type}:"
    return (idem_key.removeprefix(prefix) or None) if idem_key.startswith(prefix) else None


def _key_fn(source_system: str, object_type: str, *, id_field: str) -> IdemKeyFn:
    _check_part("source_system", source_system)
    if not id_field or not isinstance(id_field, str):
        raise ArgumentError("id_field: must be a non-empty string")
    prefix = f"{source_system}:{object_type}:"

    def key(obj: Any) -> str:
        return prefix + _natural_id(obj, id_field)

    return key


def _check_part(name: str, value: object) -> None:
    if not isinstance(value, str) or not value or ":" in value or not _encodes(value):
        raise ArgumentError(f"{name}: must be a non-empty string without ':'")


def _field(obj: Any, field: str) -> object:
    if not isinstance(obj, Mapping):
        raise IdemKeyError(f"{field}: the record is not an object, so it has no such field")
    value: object = obj.get(field)
    if value is None:
        raise IdemKeyError(f"{field}: missing or null; the record has no identity without it")
    return value


def _natural_id(obj: Any, field: str) -> str:
    value = _field(obj, field)
    if isinstance(value, str):
        if not value:
            raise IdemKeyError(f"{field}: empty; the record has no identity without it")
        _check_text(field, value)
        return str(value)
    # bool is an int to Python, but true is not an id.
    if not isinstance(value, int) or isinstance(value, bool):
        raise IdemKeyError(f"{field}: must be a string or an integer, not {type(value).__name__}")
    if not _INT_MIN <= value <= _INT_MAX:
        raise IdemKeyError(f"{field}: integer beyond 64 bits, which cannot be stored")
    return str(int(value))


def _check_text(field: str, value: str) -> None:
    if not _encodes(value):
        raise IdemKeyError(f"{field}: contains half a surrogate pair, which cannot be stored as text")


def _encodes(value: str) -> bool:
    # Encoding is the test that every store makes in the end.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

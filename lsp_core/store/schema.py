"""File formats: each is declared once, as a frozen dataclass that inherits from ``Stored``, and read and written here.

Kinds of values are checked by pydantic, from the annotations; what a value may be is checked by the dataclass itself,
in ``__post_init__``. A machine that only trains and attacks need not have pydantic: there, files are taken as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union

from lsp_core.store.files import write_json
from lsp_core.types import Record

T = TypeVar("T", bound="Stored")
EMPTY: tuple[Any, ...] = (None, "", (), {})


class Stored:
    """What is kept in a file, or a part of it.

    Attributes:
        SCHEMA: what the file calls its format, with a number that changes when an older reader would misread it; ""
            for a part of a file.
    """

    SCHEMA: ClassVar[str] = ""
    __pydantic_config__: ClassVar[Record] = {"strict": True, "extra": "forbid", "allow_inf_nan": False}

    def to_record(self) -> Record:
        """Return what goes into JSON: the schema first; what is empty, as it is by default, is left out."""
        head = {"schema": self.SCHEMA} if self.SCHEMA else {}
        return {**head, **_plain(self)}

    def write(self, path: str | Path) -> None:
        """Write the file; a reader finds the old one or the new one."""
        write_json(path, self.to_record())


class SchemaError(ValueError):
    """A file, or a text, that is not of the format it should be; the message says what is wrong, without the name."""


def read(kind: type[T], path: str | Path) -> T:
    """Read a file.

    Raises:
        SchemaError: in one sentence that names the file, if it is not there, damaged, or of another format.
    """
    try:
        return parse(kind, Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise SchemaError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}."
        ) from error
    except SchemaError as error:
        raise SchemaError(f"{path} is no {kind.SCHEMA} file: {error}") from error


def schema_of(path: str | Path) -> object:
    """Return what a file calls its format, None if it does not say or cannot be read."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found.get("schema") if isinstance(found, dict) else None


def parse(kind: type[T], text: str) -> T:
    """Read the JSON text of a file.

    Raises:
        SchemaError: if it is no JSON, has another schema, or a value that does not belong there.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SchemaError("it holds no JSON.") from error
    if not isinstance(found, dict):
        raise SchemaError("it holds no table.")
    if kind.SCHEMA and (there := found.pop("schema", None)) != kind.SCHEMA:
        raise SchemaError(f"its schema is {_show(there)}.")
    return build(kind, found)


def build(kind: type[T], record: Record) -> T:
    """Make a record from what JSON or TOML holds, without its schema.

    Raises:
        SchemaError: naming the value that does not belong there.
    """
    check = _checker(typing.cast(Any, kind))
    try:
        # By way of JSON, for which pydantic takes a list for a tuple and nothing else for what it is not.
        return typing.cast(T, check(json.dumps(record)) if check else _trusted(kind, record))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise SchemaError(_sentence(error)) from error


@functools.cache
def _checker(kind: Any) -> Callable[[str], Any] | None:
    try:
        import pydantic
    except ImportError:
        return None
    return pydantic.TypeAdapter(kind).validate_json


def _sentence(error: Exception) -> str:
    if not hasattr(error, "errors"):
        return f"{str(error).removesuffix('.')}."
    first = error.errors(include_url=False)[0]  # of pydantic
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    given = "" if first["type"] in ("missing", "value_error", "json_invalid") else f" ({_show(first['input'])})"
    return f"{where}{given}: {message}." if where else f"{message}."


def _plain(value: Any) -> Any:
    """Turn dataclasses into tables and tuples into lists."""
    if dataclasses.is_dataclass(value):
        fields = [(own, getattr(value, own.name)) for own in dataclasses.fields(value)]
        return {own.name: _plain(each) for own, each in fields if each not in EMPTY or each != _default(own)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _default(own: dataclasses.Field[Any]) -> Any:
    return own.default if own.default_factory is dataclasses.MISSING else own.default_factory()


def _trusted(kind: Any, value: Any) -> Any:
    """Build dataclasses from tables and tuples from lists, as the annotations say, and check nothing else."""
    outer, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if dataclasses.is_dataclass(outer) and isinstance(value, dict):
        kinds = typing.get_type_hints(outer)
        return typing.cast(Any, outer)(**{name: _trusted(kinds.get(name), each) for name, each in value.items()})
    if outer in (Union, UnionType):
        fit = next((one for one in inner if dataclasses.is_dataclass(typing.get_origin(one) or one)), None)
        return _trusted(fit, value) if fit is not None and isinstance(value, dict) else value
    if outer is tuple and isinstance(value, list):
        items = inner if Ellipsis not in inner else (inner[0],) * len(value)
        return tuple(_trusted(one, each) for one, each in zip(items, value, strict=False))
    if outer is dict and isinstance(value, dict) and inner:
        return {key: _trusted(inner[1], each) for key, each in value.items()}
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON.")


def _show(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 40 else f"{text[:37]}..."

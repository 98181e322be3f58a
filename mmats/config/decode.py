"""Strict decoding of tables: every unknown key, missing key and wrong value, each with its path."""

import difflib
import functools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UnsetType

from mmats.config import units
from mmats.model.errors import ConfigError

NONE_TEXT = "none"  # TOML has no null
_TEXT_MAX = 500
_PROBLEMS_MAX = 50
_DEPTH_MAX = 20
_DECIMAL_DIGITS = 15
_DECIMAL_PLACES = 12

_UNITS = (
    units.Duration,
    units.Instant,
    units.Limit,
    units.Money,
    units.Percent,
    units.QuoteAmount,
    units.Rate,
    units.SignedPercent,
    units.Slippage,
    units.Speed,
    units.Spread,
    units.YearlyRate,
)
_WORDS = {int: "a whole number", str: "text in quotes", bool: "true or false"}


class Problem(NamedTuple):
    """One thing that is wrong: path of the key, what, and what to do (may be empty)."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def printable(text: str) -> str:
    """Return text for a terminal: nothing that moves the cursor, nothing endless."""
    if len(text) > _TEXT_MAX:
        text = f"{text[: _TEXT_MAX // 2]} ... {text[-_TEXT_MAX // 2 :]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def raise_problems(problems: list[Problem], file: str) -> None:
    """Raise one ConfigError that tells all problems; do nothing where there are none."""
    if not problems:
        return
    if len(problems) == 1:
        problem = problems[0]
        where = ": ".join(part for part in (file, printable(problem.where)) if part)
        raise ConfigError(printable(problem.message), where, printable(problem.hint))
    lines = [f"\n  {printable(str(problem))}" for problem in problems[:_PROBLEMS_MAX]]
    more = len(problems) - len(lines)
    lines += [f"\n  and {more} more"] if more else []
    raise ConfigError(f"{len(problems)} problems{''.join(lines)}", file)


def closest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean X?`, or an empty text where nothing is near."""
    if len(word) > _TEXT_MAX:
        return ""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""


def decode_table(
    table: type[msgspec.Struct], data: object, path: str, problems: list[Problem]
) -> Any:
    """Return `data` as `table`, or None after noting in `problems` all that is wrong with it."""
    if not isinstance(data, Mapping):
        problems.append(
            Problem(path or "configuration", f"expected a table, found {units.shown(data)}")
        )
        return None
    fields = _fields(table)
    count_before = len(problems)
    for key in data:
        if key not in fields:
            hint = closest(str(key), fields) or f"known keys: {', '.join(fields)}"
            problems.append(Problem(_join(path, str(key)), "unknown key", hint))
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = decode_value(field.type, data[name], _join(path, name), problems)
        elif field.required:
            problems.append(Problem(_join(path, name), "missing", "this key must be given"))
    return table(**values) if len(problems) == count_before else None


@functools.cache
def _fields(table: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(table)}


def decode_value(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    """Decode one value of a declared type; None after noting a problem."""
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    kinds = typing.get_args(kind) if is_union else (kind,)
    if type(None) in kinds and value == NONE_TEXT:
        return None
    (inner,) = (k for k in kinds if k not in (type(None), UnsetType))
    origin = typing.get_origin(inner)
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return decode_table(inner, value, path, problems)
    if origin is tuple:
        return _decode_list(typing.get_args(inner)[0], value, path, problems)
    if origin is dict:
        return _decode_dict(typing.get_args(inner)[1], value, path, problems)
    try:
        return _decode_leaf(inner, value)
    except ValueError as error:
        problems.append(Problem(path, str(error), _leaf_hint(inner, value)))
        return None


def _decode_list(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, list | tuple):
        problems.append(Problem(path, f"expected a list in [ ], found {units.shown(value)}"))
        return ()
    return tuple(
        decode_value(kind, item, f"{path}[{_label(item, index)}]", problems)
        for index, item in enumerate(value)
    )


def _decode_dict(kind: Any, value: object, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"expected a table, found {units.shown(value)}"))
        return {}
    if kind is Any:
        _check_plain(value, path, problems)
        return dict(value)
    return {
        str(name): decode_value(kind, item, _join(path, str(name)), problems)
        for name, item in value.items()
    }


def _check_plain(value: object, path: str, problems: list[Problem], depth: int = 0) -> None:
    """Values of a strategy's own are told apart by the hash of the configuration: no NaN."""
    if depth > _DEPTH_MAX:
        problems.append(Problem(path, f"is nested deeper than {_DEPTH_MAX} tables and lists"))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(item, _join(path, str(key)), problems, depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{path}[{index}]", problems, depth + 1)
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and not -(2**63) <= value < 2**63
    ):
        problems.append(Problem(path, f"{units.shown(value)} is no number of 64 bits"))


def _decode_leaf(kind: Any, value: object) -> Any:
    """Return the value of a unit, a decimal, a choice or a plain type; raise ValueError."""
    if kind in _UNITS:
        return kind.parse(value)
    if kind is Decimal:
        return _decode_decimal(value)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}, found {units.shown(value)}")
        return value
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        plain = typing.get_args(kind)[0] if typing.get_origin(kind) else kind
        if type(value) is plain:
            wanted = str(error).replace("Expected `int`", f"expected {_WORDS[int]}")
            raise ValueError(f"{wanted}, found {units.shown(value)}") from None
        raise ValueError(
            f"expected {_WORDS.get(plain, plain)}, found {units.shown(value)}"
        ) from None


def _decode_decimal(value: object) -> Decimal:
    expected = 'a decimal in quotes such as "0.01"'
    if not isinstance(value, str):
        raise ValueError(f"expected {expected}, found {units.shown(value)}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"expected {expected}, found {units.shown(value)}") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"expected {expected}, zero or more, found {units.shown(value)}")
    exponent = number.as_tuple().exponent
    if number.adjusted() >= _DECIMAL_DIGITS or not -_DECIMAL_PLACES <= int(exponent):
        raise ValueError(
            f"{units.shown(value)} has more than {_DECIMAL_DIGITS} digits before the point, or "
            f"more than {_DECIMAL_PLACES} after it"
        )
    return units.exact(value)


def _leaf_hint(kind: Any, value: object) -> str:
    if typing.get_origin(kind) is Literal and isinstance(value, str):
        return closest(value, typing.get_args(kind))
    return ""


def _label(item: object, index: int) -> str:
    """Return the name or symbol of a table in a list, which tells more than its number."""
    if isinstance(item, Mapping):
        label = item.get("name", item.get("symbol", index))
        return label if isinstance(label, str) else units.shown(label)
    return str(index)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

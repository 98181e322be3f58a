"""Effective values of a configuration with their origin, for `mmats config show`."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NamedTuple

import msgspec

from mmats.config.schema import Config, ConfigFile, CostsTable
from mmats.config.table import builtin_table
from mmats.config.units import Duration, plain
from mmats.model.instrument import Instrument

Origin = Literal["file", "built-in", "default"]


class Entry(NamedTuple):
    """One effective value: its path, its text with unit, and where it comes from."""

    path: str
    value: str | int | float | bool | list[Any] | None
    origin: Origin


def effective_values(config: Config, data: Mapping[str, Any]) -> list[Entry]:
    """Return every effective value; `data` is the content of the file that `config` is made of."""
    entries: list[Entry] = []
    for name in ConfigFile.__struct_fields__:
        if name not in ("instruments", "costs"):
            entries += _walk(name, getattr(config, name), data.get(name), name in data)
    for instrument in config.resolved_instruments:
        entries += _instrument_entries(instrument, data.get("instruments", []))
    for venue, costs in config.resolved_costs.items():
        entries += _cost_entries(venue, costs, data.get("costs", {}))
    return entries


def value_text(value: Any) -> Any:
    """Return a value as the configuration would write it, plain enough for JSON."""
    if value is None:
        return "none"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list | tuple):
        return [value_text(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _walk(path: str, value: Any, given: Any, is_given: bool) -> Iterator[Entry]:
    """Yield the leaves below a value; `given` is the same place in the file."""
    if isinstance(value, msgspec.Struct):
        names = {name: getattr(value, name) for name in value.__struct_fields__}
        yield from _walk_items(path, names, given)
    elif isinstance(value, dict):
        yield from _walk_items(path, value, given)
    elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        for index, item in enumerate(value):
            label = getattr(item, "name", None) or item.symbol
            yield from _walk(f"{path}[{label}]", item, given[index], is_given)
    else:
        yield Entry(path, value_text(value), "file" if is_given else "default")


def _walk_items(path: str, items: Mapping[str, Any], given: Any) -> Iterator[Entry]:
    below = given if isinstance(given, Mapping) else {}
    for name, item in items.items():
        yield from _walk(f"{path}.{name}", item, below.get(name), name in below)


def _instrument_entries(instrument: Instrument, rows: list[dict[str, Any]]) -> Iterator[Entry]:
    given: set[str] = set()
    for row in rows:
        if f"{row['symbol']}.{row['venue']}" == instrument.id:
            given = set(row)
    builtin = builtin_table().instruments.get(instrument.id)
    for field in Instrument.__dataclass_fields__:
        value = getattr(instrument, field)
        name = field.removesuffix("_ns")
        origin: Origin = "default"
        if name in given:
            origin = "file"
        elif builtin is not None and getattr(builtin, name) is not msgspec.UNSET:
            origin = "built-in"
        shown = Duration(value) if name != field else value
        yield Entry(f"instruments[{instrument.id}].{name}", value_text(shown), origin)


def _cost_entries(venue: str, costs: msgspec.Struct, given: Mapping[str, Any]) -> Iterator[Entry]:
    in_file = {*given, *given.get("venues", {}).get(venue, {})}
    builtin = builtin_table().costs.get(venue, CostsTable())
    for name in costs.__struct_fields__:
        origin: Origin = "default"
        if name in in_file:
            origin = "file"
        elif getattr(builtin, name) is not msgspec.UNSET:
            origin = "built-in"
        yield Entry(f"costs.venues.{venue}.{name}", value_text(getattr(costs, name)), origin)

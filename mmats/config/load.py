"""From a file or a mapping to a configuration that has been checked as a whole."""

import dataclasses
import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mmats.config import check
from mmats.config.decode import Problem, decode_table, raise_problems
from mmats.config.schema import Config, ConfigFile, Costs, CostsRootTable
from mmats.config.table import merge_costs, merge_instruments
from mmats.model.errors import ConfigError
from mmats.model.instrument import Instrument


def load_config(
    source: str | Path | Mapping[str, Any],
    base_dir: str | Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Load, check and complete a configuration.

    Parameters
    ----------
    source : path of a TOML file, or its content as a mapping
    base_dir : folder that relative paths start from; by default the file's folder, or the
        working directory for a mapping
    overrides : values by table and key that beat the file, such as `{"backtest": {"seed": 7}}`

    Raises
    ------
    ConfigError
        The file can't be read, or anything in it is wrong; all problems are told at once.
    """
    if isinstance(source, Mapping):
        data, name = dict(source), ""
        folder = Path.cwd()
    else:
        path = Path(source)
        data, name = read_toml(path), str(path)
        folder = path.resolve().parent
    for table, values in (overrides or {}).items():
        below = data.get(table, {})
        data[table] = {**below, **values} if isinstance(below, Mapping) else below
    return _complete(data, name, folder if base_dir is None else Path(base_dir))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raise ConfigError where it can't be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        hint = "see config.example.toml for one that runs as it stands"
        raise ConfigError("no such file", str(path), hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't be read: {error}", str(path)) from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid TOML: {error}", str(path)) from None


def _complete(data: dict[str, Any], name: str, base_dir: Path) -> Config:
    problems: list[Problem] = []
    file: ConfigFile | None = decode_table(ConfigFile, data, "", problems)
    raise_problems(problems, name)
    assert file is not None  # noqa: S101 - decode_table notes a problem whenever it returns None
    table = merge_instruments(file.instruments, problems)
    used = check.check_feeds(file, table, problems)
    check.check_strategies(file, used, problems)
    check.check_values(file, problems)
    check.check_names(file, table, used, problems)
    costs = merge_costs(file.costs, sorted({i.venue for i in used.values()}))
    check.check_costs(costs, problems)
    conversions = check.check_conversions(file, used, costs, problems)
    raise_problems(problems, name)
    instruments = tuple(used.values())
    return Config(
        **{field: getattr(file, field) for field in ConfigFile.__struct_fields__},
        base_dir=base_dir,
        config_hash=hash_config(file, instruments, costs),
        resolved_instruments=instruments,
        resolved_costs=costs,
        conversions=conversions,
    )


def hash_config(
    file: ConfigFile, instruments: tuple[Instrument, ...], costs: dict[str, Costs]
) -> str:
    """sha256 (hex) over the effective values, whatever their order and notation in the file."""
    # What these two tables say is in `instruments` and `costs`, with the built-in values.
    rest = msgspec.structs.replace(file, instruments=(), costs=CostsRootTable())
    # A source is a remark, no value.
    rules = [dataclasses.replace(instrument, source="") for instrument in instruments]
    prices = {venue: msgspec.structs.replace(cost, source="") for venue, cost in costs.items()}
    try:
        content = msgspec.json.encode([rest, rules, prices], order="deterministic")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        hint = "use text, numbers, true or false, dates, lists and tables"
        raise ConfigError(f"a value can't be stored: {error}", "strategies.params", hint) from None
    return hashlib.sha256(content).hexdigest()

"""The documents keep up with the schema, and the example explains every table."""

import re
from pathlib import Path

import msgspec
import pytest

from mmats.config import schema
from mmats.config.load import read_toml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/configuration.md").read_text()
SECTIONS = {
    "## Top level": schema.ConfigFile,
    "## [account]": schema.AccountTable,
    "## [[instruments]]": schema.InstrumentTable,
    "## [[feeds]]": schema.FeedTable,
    "## [[strategies]]": schema.StrategyTable,
    "## [risk]": schema.RiskTable,
    "`[risk.markets.NAME]`": schema.MarketRiskTable,
    "`[risk.strategies.NAME]`": schema.StrategyRiskTable,
    "`[risk.symbols.SYMBOL]`": schema.SymbolRiskTable,
    "## [venues.NAME]": schema.VenueTable,
    "## [costs]": schema.CostsTable,
    "## [fill]": schema.FillTable,
    "## [backtest]": schema.BacktestTable,
    "## [engine]": schema.EngineTable,
    "## [journal]": schema.JournalTable,
    "## [control]": schema.ControlTable,
    "## [watchdog]": schema.WatchdogTable,
    "## [logs]": schema.LogsTable,
}


def is_table(field: msgspec.structs.FieldInfo) -> bool:
    return "Table" in str(field.type)


@pytest.mark.parametrize(("heading", "table"), SECTIONS.items())
def test_every_key_is_documented_with_its_default(heading, table):
    end = r"\n\n" if heading.startswith("`") else r"\n## |\Z"
    section = re.split(end, TEXT.split(heading, 1)[1])[0]
    for field in msgspec.structs.fields(table):
        if is_table(field):
            continue
        assert f"`{field.name}`" in section, field.name
        row = next((r for r in section.splitlines() if f"`{field.name}`" in r and "|" in r), "")
        if row and not field.required and field.default not in (msgspec.UNSET, msgspec.NODEFAULT):
            assert written(field.default) in row, field.name


def written(default: object) -> str:
    """Return a default as the documents write it."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default is None:
        return '`"none"`'
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in default) + "]`"
    return f"`{default}`" if isinstance(default, int) else f'`"{default}"`'


def test_the_example_shows_every_table():
    given = read_toml(ROOT / "config.example.toml")
    tables = {f.name for f in msgspec.structs.fields(schema.ConfigFile) if is_table(f)}
    assert tables - given.keys() == {"instruments"}

"""Changes a limit of a running engine: a value as in the configuration, its effect in the gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from mmats._core import NO_LIMIT
from mmats.config import schema
from mmats.config.decode import Problem, closest, decode_value, raise_problems
from mmats.config.units import Rate
from mmats.engine.session import Session
from mmats.model.errors import ConfigError
from mmats.risk.limits import limit_fields, limit_texts

_TABLES: Mapping[str, type[msgspec.Struct]] = {
    "global": schema.RiskTable,
    "market": schema.MarketRiskTable,
    "strategy": schema.StrategyRiskTable,
    "symbol": schema.SymbolRiskTable,
}
_ELSEWHERE = {
    "trading_state": "use pause, halt and resume",
    "order_quantity_max": "change it in the configuration",
    "position_quantity_max": "change it in the configuration",
}


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A checked change that has not been made yet."""

    session: Session
    level: str
    index: int
    fields: dict[str, int]
    before: str  # as in the configuration
    raises: bool  # something that is denied now would pass

    def apply(self) -> None:
        """Set it in the gate; ConfigError where the gate can't hold the value."""
        try:
            self.session.gate.set_limits(self.level, self.index, **self.fields)
        except (OverflowError, ValueError) as error:
            raise ConfigError(f"is out of range: {error}", "limit") from error


def change_limit(session: Session, level: str, index: int, limit: str, value: str) -> LimitChange:
    """Check a new value for one limit and say whether it raises risk.

    Raises
    ------
    ConfigError
        No such limit at this level, or a value that is none.
    """
    table = _TABLES[level]
    fields = {field.name: field for field in msgspec.structs.fields(table)}
    where = f"limit {level}.{limit}"
    if limit in _ELSEWHERE:
        raise ConfigError("can't be changed like this", where, _ELSEWHERE[limit])
    if limit not in fields or fields[limit].type in (dict,):
        raise ConfigError(
            "there is no such limit", where, closest(limit, fields) or ", ".join(fields)
        )
    problems: list[Problem] = []
    parsed = decode_value(fields[limit].type, _plain(value), where, problems)
    raise_problems(problems, "")
    currency = session.config.account.currency
    new = limit_fields(limit, parsed, currency)
    now = session.gate.limits(level, index)
    before = limit_texts(level, now, currency).get(limit, "none")
    raises = _raises({name: now[name] for name in new}, new, parsed)
    return LimitChange(session, level, index, new, before, raises)


def _plain(value: str) -> Any:
    """Return text as TOML would read it where it is a number or true or false."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isdecimal() else value


def _raises(before: dict[str, int], new: dict[str, int], parsed: Any) -> bool:
    if "messages_max" in new:
        return _rate(before) < _rate(new) if isinstance(parsed, Rate) else True
    if "stop_loss_required" in new:
        return new["stop_loss_required"] < before["stop_loss_required"]
    if "order_notional_min" in new:
        return new["order_notional_min"] < before["order_notional_min"]
    return any(new[name] > before[name] for name in new)


def _rate(fields: dict[str, int]) -> float:
    if fields["messages_max"] == NO_LIMIT:
        return float("inf")
    return fields["messages_max"] / fields["message_window_ns"]

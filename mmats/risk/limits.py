"""Limits of a configuration in the units of the compiled gate."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from mmats._core import NO_LIMIT, RiskGate, TradingState
from mmats.config import Config
from mmats.config.units import Limit, Money, Percent, Rate
from mmats.model.errors import ConfigError

TRADING_STATES = {
    "active": TradingState.TRADING_ACTIVE,
    "reducing": TradingState.TRADING_REDUCING,
    "halted": TradingState.TRADING_HALTED,
}
_LOSSES_AND_EXPOSURE = ("daily_loss_max", "drawdown_max", "exposure_max", "gross_exposure_max")
_OPEN_ORDERS_NO_LIMIT = 2**31 - 1
_LIFTED = {  # what "none" means for the other limits
    "message_rate_max": {"messages_max": NO_LIMIT, "message_window_ns": 0},
    "price_collar": {"price_collar_ppm": NO_LIMIT},
    "order_notional_min": {"order_notional_min": 0},
    "order_notional_max": {"order_notional_max": NO_LIMIT},
    "position_notional_max": {"position_notional_max": NO_LIMIT},
    "open_orders_max": {"open_orders_max": _OPEN_ORDERS_NO_LIMIT},
}
MARKET_BUFFER_PPM = 5_000
"""A market order may fill this much beyond the mark; reserved on top of its notional."""


def set_limits(
    gate: RiskGate, config: Config, markets: Sequence[str], strategies: Sequence[str]
) -> None:
    """Set every limit of a configuration.

    Parameters
    ----------
    gate
        Its instruments are those of the configuration, in the same order.
    markets, strategies
        Names by dense index.

    Raises
    ------
    ConfigError
        A limit is not in the account currency.
    """
    risk = config.risk
    currency = config.account.currency
    rate = risk.message_rate_max
    gate.set_limits(
        "global",
        trading_state=TRADING_STATES[risk.trading_state],
        stop_loss_required=int(risk.stop_loss_required),
        price_collar_ppm=risk.price_collar.ppm if risk.price_collar else NO_LIMIT,
        messages_max=rate.count if rate else NO_LIMIT,
        message_window_ns=rate.interval_ns if rate else 0,
        order_notional_min=_money(risk.order_notional_min, currency, default=0),
        **_scope(risk, currency, exposure="gross_exposure_max"),
    )
    for name, market in risk.markets.items():
        if name in markets:
            gate.set_limits("market", markets.index(name), **_scope(market, currency))
    for name, table in risk.strategies.items():
        if name in strategies:
            gate.set_limits("strategy", strategies.index(name), **_scope(table, currency))
    for name, symbol in risk.symbols.items():
        instrument = config.instrument(name)
        index = config.resolved_instruments.index(instrument)
        lot_size = instrument.lot_size
        gate.set_limits("symbol", index, **_scope(symbol, currency))
        gate.set_quantity_limits(
            index,
            _lots(symbol.order_quantity_max, lot_size),
            _lots(symbol.position_quantity_max, lot_size),
        )
    worst_fee_ppm = max(max(c.maker.ppm, c.taker.ppm) for c in config.resolved_costs.values())
    gate.set_reserve(max(0, worst_fee_ppm), MARKET_BUFFER_PPM)


def limit_fields(name: str, value: object, currency: str) -> dict[str, int]:
    """Return one limit, as the configuration names it, by fields of `limits_t`.

    Parameters
    ----------
    name : key of a risk table, quantities aside
    value : of the type that the table gives it; None lifts the limit
    currency : of the account

    Raises
    ------
    ConfigError
        The value is not in the account currency.
    """
    field = name.removesuffix("_max").removeprefix("gross_")
    if name in _LOSSES_AND_EXPOSURE:
        share, money = (value.ppm, value.money) if isinstance(value, Limit) else (None, None)
        return {
            f"{field}_ppm": NO_LIMIT if share is None else share,
            f"{field}_max": _money(money, currency),
        }
    match value:
        case Rate(count, interval_ns):
            return {"messages_max": count, "message_window_ns": interval_ns}
        case Percent(ppm):
            return {"price_collar_ppm": ppm}
        case Money():
            return {name: _money(value, currency)}
        case int():
            return {name: int(value)}
        case _:
            return dict(_LIFTED[name])


def limit_texts(level: str, fields: Mapping[str, int], currency: str) -> dict[str, str]:
    """Return the limits that hold, named and written as in the configuration.

    Parameters
    ----------
    level : global, market, strategy or symbol
    fields : of `limits_t`
    currency : of the account
    """
    texts = {}
    for key in ("daily_loss", "drawdown", "exposure"):
        name = f"gross_{key}_max" if (level, key) == ("global", "exposure") else f"{key}_max"
        ppm = fields.get(f"{key}_ppm", NO_LIMIT)
        texts[name] = _share_text(ppm) or _money_text(fields.get(f"{key}_max", NO_LIMIT), currency)
    for name in ("order_notional_max", "position_notional_max"):
        texts[name] = _money_text(fields.get(name, NO_LIMIT), currency)
    if least := fields.get("order_notional_min", 0):
        texts["order_notional_min"] = _money_text(least, currency)
    texts["price_collar"] = _share_text(fields.get("price_collar_ppm", NO_LIMIT))
    messages = fields.get("messages_max", NO_LIMIT)
    if messages != NO_LIMIT:
        texts["message_rate_max"] = str(Rate(messages, fields["message_window_ns"]))
    orders = fields.get("open_orders_max", _OPEN_ORDERS_NO_LIMIT)
    texts["open_orders_max"] = "" if orders == _OPEN_ORDERS_NO_LIMIT else str(orders)
    texts["stop_loss_required"] = "true" if fields.get("stop_loss_required", 0) else ""
    return {name: text for name, text in texts.items() if text}


def _share_text(ppm: int) -> str:
    return "" if ppm == NO_LIMIT else str(Percent(ppm))


def _money_text(units: int, currency: str) -> str:
    return "" if units == NO_LIMIT else str(Money(Decimal(units) / 10**8, currency))


def _scope(table: msgspec.Struct, currency: str, exposure: str = "exposure_max") -> dict[str, int]:
    """Return the limits that a risk table sets, by field of `limits_t`."""
    limits: dict[str, int] = {}
    for field, name in (
        ("exposure", exposure),
        ("daily_loss", "daily_loss_max"),
        ("drawdown", "drawdown_max"),
    ):
        limit: Limit | None = getattr(table, name, None)
        if limit is not None and limit.ppm is not None:
            limits[f"{field}_ppm"] = limit.ppm
        elif limit is not None:
            limits[f"{field}_max"] = _money(limit.money, currency)
    for name in ("order_notional_max", "position_notional_max"):
        money: Money | None = getattr(table, name, None)
        if money is not None:
            limits[name] = _money(money, currency)
    open_orders: int | None = getattr(table, "open_orders_max", None)
    if open_orders is not None:
        limits["open_orders_max"] = open_orders
    return limits


def _money(money: Money | None, currency: str, default: int = NO_LIMIT) -> int:
    if money is None:
        return default
    if money.currency != currency:
        raise ConfigError(
            f"limit {money} is not in the account currency", "risk", f"write it in {currency}"
        )
    return money.units


def _lots(quantity: Decimal | None, lot_size: Decimal) -> int:
    return NO_LIMIT if quantity is None else int(quantity // lot_size)

"""A session as plain values for people and programs outside: decimal text, names, no indices."""

from decimal import Decimal
from typing import Any

from mmats._core import (
    LedgerFault,
    OrderRole,
    OrderState,
    OrderType,
    Reason,
    RecordKind,
    TradingState,
    open_orders,
)
from mmats.engine.session import Session
from mmats.model.instrument import MONEY_SCALE, Instrument
from mmats.model.messages import PRIVATE, PUBLIC
from mmats.risk.limits import limit_texts

Changes = dict[str, Any]


def money_text(units: int) -> str:
    """Return 1e-8 units as decimal text with at least two places."""
    text = f"{Decimal(units) / MONEY_SCALE:f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def quantity_text(instrument: Instrument, lots: int) -> str:
    """Return lots as a quantity of the base asset."""
    return _plain(lots * instrument.lot_size)


def price_text(instrument: Instrument, ticks: int) -> str:
    """Return ticks as a price; empty for none."""
    return _plain(ticks * instrument.tick_size) if ticks else ""


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _word(enum: Any, value: int, prefix: str) -> str:
    return str(enum(value).name).removeprefix(prefix)


def _selected(session: Session, row: Any, strategy: int, instrument: int, market: int) -> bool:
    """Whether a row with strategy and instrument lies in a scope; -1 selects all."""
    of_market = session.catalogue.terms(int(row["instrument"]))["market"]
    return (
        strategy in (-1, int(row["strategy"]))
        and instrument in (-1, int(row["instrument"]))
        and market in (-1, of_market)
    )


def order_rows(
    session: Session, strategy: int = -1, instrument: int = -1, market: int = -1
) -> list[dict[str, Any]]:
    """Return the open orders of a scope."""
    return [
        _order_row(session, row)
        for row in open_orders(session.pipeline.orders)
        if _selected(session, row, strategy, instrument, market)
    ]


def _order_row(session: Session, row: Any) -> dict[str, Any]:
    terms = session.catalogue.instruments[row["instrument"]]
    return {
        "order_id": int(row["order_id"]),
        "signal_id": int(row["signal_id"]),
        "strategy": session.names[row["strategy"]],
        "symbol": terms.id,
        "side": "buy" if row["side"] > 0 else "sell",
        "type": _word(OrderType, row["type"], "ORDER_"),
        "role": _word(OrderRole, row["role"], "ROLE_"),
        "state": _word(OrderState, row["state"], "STATE_"),
        "quantity": quantity_text(terms, int(row["quantity_lots"])),
        "filled": quantity_text(terms, int(row["filled_lots"])),
        "limit": price_text(terms, int(row["price_ticks"])),
        "trigger": price_text(terms, int(row["trigger_ticks"])),
        "created_ns": int(row["ts_created_ns"]),
    }


def position_rows(
    session: Session, strategy: int = -1, instrument: int = -1, market: int = -1
) -> list[dict[str, Any]]:
    """Return the open positions of a scope."""
    rows = []
    for s, name in enumerate(session.names):
        for k, terms in enumerate(session.catalogue.instruments):
            cell = session.ledger.cell(s, k)
            place = {"strategy": s, "instrument": k}
            if cell.lots == 0 or not _selected(session, place, strategy, instrument, market):
                continue
            try:
                unrealized = money_text(session.ledger.open_result(s, k))
            except LedgerFault:
                unrealized = ""
            rows.append(
                {
                    "strategy": name,
                    "symbol": terms.id,
                    "market": terms.market,
                    "quantity": quantity_text(terms, cell.lots),
                    "average": _plain(
                        round(Decimal(cell.cost_ticklots) / cell.lots * terms.tick_size, 12)
                    ),
                    "unrealized": unrealized,
                    "realized": money_text(cell.realized - cell.fees + cell.carry),
                }
            )
    return rows


def private_state(session: Session) -> Changes:
    """Return every key of the private channel that comes from the core."""
    state: Changes = {"account": _account(session), "trading": _trading(session)}
    for row in position_rows(session):
        state[f"position:{row['strategy']}:{row['symbol']}"] = row
    for row in order_rows(session):
        state[f"order:{row['order_id']}"] = row
    return {**state, **_limits(session)}


def _account(session: Session) -> dict[str, Any]:
    gate, ledger, catalogue = session.gate, session.ledger, session.catalogue
    balances = {
        name: money_text(ledger.cash(index) + ledger.dust(index))
        for index, name in enumerate(catalogue.currencies)
        if ledger.cash(index) or ledger.dust(index)
    }
    account: dict[str, Any] = {
        "currency": session.config.account.currency,
        "valued": bool(gate.is_valued),
        "equity": money_text(gate.equity) if gate.initial_equity else None,  # not known yet
        "initial_equity": money_text(gate.initial_equity),
        "reserved": money_text(gate.reserved),
        "balances": balances,
    }
    day_start, peak = gate.day_start_equity, gate.peak_equity
    account["day_pnl"] = money_text(gate.equity - day_start)
    account["peak_equity"] = money_text(peak)
    account["drawdown"] = f"{max(0, peak - gate.equity) / peak:.6f}" if peak > 0 else "0"
    return account


def _trading(session: Session) -> dict[str, Any]:
    gate = session.gate

    def state(level: str, index: int = 0) -> str:
        return _word(TradingState, gate.limits(level, index)["trading_state"], "TRADING_").lower()

    return {
        "global": state("global"),
        "markets": {n: state("market", k) for k, n in enumerate(session.catalogue.markets)},
        "strategies": {n: state("strategy", k) for k, n in enumerate(session.names)},
    }


def _limits(session: Session) -> Changes:
    currency = session.config.account.currency
    scopes = [("global", "", 0)]
    scopes += [("market", name, k) for k, name in enumerate(session.catalogue.markets)]
    scopes += [("strategy", name, k) for k, name in enumerate(session.names)]
    scopes += [("symbol", i.id, k) for k, i in enumerate(session.catalogue.instruments)]
    return {
        f"limit:{level}:{name}:{limit}": text
        for level, name, index in scopes
        for limit, text in limit_texts(level, session.gate.limits(level, index), currency).items()
    }


def public_state(session: Session) -> Changes:
    """Return every key of the public channel that comes from the core."""
    state: Changes = {
        f"market:{terms.id}": _market(session, index, terms)
        for index, terms in enumerate(session.catalogue.instruments)
    }
    errors = {name: text for name, _, _, text in session.pipeline.errors}
    for slot in session.pipeline.strategies:
        table = session.tables.get(slot.name)
        if table is None:
            continue
        error = errors.get(slot.name) or session.load_errors.get(slot.name, "")
        state[f"strategy:{slot.name}"] = {
            "enabled": bool(slot.enabled),
            "mode": min(session.strategy_modes[slot.name], session.mode).word,
            "symbols": list(table.symbols),
            "timeframe": str(table.timeframe),
            "signals": slot.signal_count,
            "error": error.strip().splitlines()[-1] if error and not slot.enabled else "",
        }
    return state


def _market(session: Session, index: int, terms: Instrument) -> dict[str, Any]:
    holding = session.ledger.holding(index)
    market = {
        "symbol": terms.id,
        "market": terms.market,
        "last": price_text(terms, holding.mark_ticks),
        "ts_ns": holding.marked_ns,
    }
    book = session.books.get(index)
    if book is not None:
        bid, ask = book.best_bid, book.best_ask
        market["bid"] = price_text(terms, bid[0]) if bid else ""
        market["ask"] = price_text(terms, ask[0]) if ask else ""
        market["book"] = "live" if book.is_live else "stale"
    return market


# -- journal records as events ---------------------------------------------------------------------

_EVENT_OF = {
    RecordKind.RECORD_SIGNAL: "signal",
    RecordKind.RECORD_ADVISED: "signal",
    RecordKind.RECORD_DENIED: "denial",
    RecordKind.RECORD_FILLED: "fill",
    RecordKind.RECORD_LATE_FILL: "fill",
}


def record_event(session: Session, row: Any) -> tuple[str, str, dict[str, Any]]:
    """Return channel, kind of event and its values for one journal record."""
    kind = RecordKind(int(row["kind"]))
    terms = session.catalogue.instruments[row["instrument"]]
    name = _EVENT_OF.get(kind, "order")
    event: dict[str, Any] = {
        "what": kind.name.removeprefix("RECORD_"),
        "ts_ns": int(row["ts_ns"]),
        "strategy": session.names[row["strategy"]],
        "symbol": terms.id,
        "signal_id": int(row["signal_id"]),
        "side": {1: "buy", -1: "sell"}.get(int(row["side"]), ""),
        "quantity": quantity_text(terms, int(row["lots"])),
        "price": price_text(terms, int(row["price_ticks"])),
    }
    if name == "signal":
        event |= {
            "stop_loss": price_text(terms, int(row["stop_loss_ticks"])),
            "take_profit": price_text(terms, int(row["take_profit_ticks"])),
            "confidence": int(row["confidence_ppm"]) / 1e6,
        }
        return PUBLIC, name, event
    event["order_id"] = int(row["order_id"])
    event["role"] = _word(OrderRole, row["role"], "ROLE_") if row["role"] else ""
    if name == "denial":
        event |= {
            "reason": _word(Reason, row["reason"], "REASON_"),
            "observed": int(row["observed"]),
            "limit": int(row["limit"]),
        }
    if name == "fill":
        event |= {
            "trade_id": int(row["trade_id"]),
            "realized": money_text(int(row["realized"])),
            "fee": money_text(int(row["fee"])),
            "position": quantity_text(terms, int(row["observed"])),
        }
    return PRIVATE, name, event

"""Layout of a state image by name, as a numpy dtype; `StateImage` checks it against its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmats._core.frames import ORDER_DTYPE

PAGE = 1024
SLOT_STEP = 64
ORDER_SLOTS = 4096
ACCOUNTS = 8
MESSAGES_SENT = 1024
TRADES_SEEN = 1024


def _record(long_names: str, int_names: str = "") -> np.dtype[Any]:
    names = [(name, "<i8") for name in long_names.split()]
    return np.dtype([*names, *((name, "<i4") for name in int_names.split())], align=True)


def _int_record(int_names: str, long_names: str) -> np.dtype[Any]:
    names = [(name, "<i4") for name in int_names.split()]
    return np.dtype([*names, *((name, "<i8") for name in long_names.split())], align=True)


HEAD_DTYPE = np.dtype(
    [(name, "<u8") for name in ("magic", "checksum", "terms_hash")]
    + [
        (name, "<i4")
        for name in (
            "version currency_count instrument_count strategy_count market_count has_port "
            "order_count order_capacity ended_first ended_count open_order_count is_valued "
            "watches_strategies unknown_order_count pending_closing_count pad"
        ).split()
    ]
    + [("now_ns", "<i8"), ("event_count", "<i8"), ("state_hash", "<u8")]
    + [
        (name, "<i8")
        for name in (
            "record_count order_sequence signal_sequence denied_count late_fill_count "
            "stale_report_count conversion_paid equity initial_equity day_start peak day_end_ns "
            "sent_count reserved trade_count duplicate_count"
        ).split()
    ]
)
LIMITS_DTYPE = _int_record(
    "trading_state stop_loss_required open_orders_max pad",
    "daily_loss_max daily_loss_ppm drawdown_max drawdown_ppm exposure_max exposure_ppm "
    "order_notional_min order_notional_max position_notional_max price_collar_ppm messages_max "
    "message_window_ns",
)
CELL_DTYPE = _record(
    "lots cost_ticklots realized_ticklots realized_quote realized fees carry carry_quote"
)
HOLDING_DTYPE = _record("lots cost_ticklots mark_ticks marked_ns value margin")
SCOPE_DTYPE = _record("day_start peak")
OPEN_DTYPE = _record("buy_lots sell_lots")
CLOSING_DTYPE = _record("signal_id retry_ns", "attempt_count state")
BRACKET_DTYPE = _record("signal_id stop_order_id target_order_id stop_ticks target_ticks", "side")
TRACK_DTYPE = _record("wins losses won lost")
SWITCH_DTYPE = _record("enabled signal_count")
TRADE_DTYPE = _record("trade_id instrument")
INQUIRY_DTYPE = _record(
    "asked_ns query_ns wait_ns not_found_ns changed_ns cum_lots",
    "query_count not_found_count is_cancel_wanted is_filled",
)
SLOTS_DTYPE = np.dtype(
    [("orders", ORDER_DTYPE, SLOT_STEP), ("inquiries", INQUIRY_DTYPE, SLOT_STEP)]
)


def image_dtype(head: Mapping[str, Any] | np.void) -> np.dtype[Any]:
    """Return the layout of a whole image; `head` has the counts of its first part.

    Indices are dense: cells are [strategy, instrument]. Order slots come in steps of 64, with
    `orders` (`ORDER_DTYPE`) and `inquiries`, from a whole page on.
    """
    currencies, markets = int(head["currency_count"]), int(head["market_count"])
    instruments, strategies = int(head["instrument_count"]), int(head["strategy_count"])
    cells = (strategies, instruments)
    fields: list[tuple[str, Any, Any]] = [
        ("head", HEAD_DTYPE, ()),
        ("balances", "<i8", (currencies, ACCOUNTS)),
        ("dust_costs", "<i8", (currencies,)),
        ("cells", CELL_DTYPE, cells),
        ("holdings", HOLDING_DTYPE, (instruments,)),
        ("overall", LIMITS_DTYPE, ()),
        ("markets", LIMITS_DTYPE, (markets,)),
        ("strategies", LIMITS_DTYPE, (strategies,)),
        ("symbols", LIMITS_DTYPE, (instruments,)),
        ("order_lots_max", "<i8", (instruments,)),
        ("position_lots_max", "<i8", (instruments,)),
        ("market_scopes", SCOPE_DTYPE, (markets,)),
        ("strategy_scopes", SCOPE_DTYPE, (strategies,)),
        ("open", OPEN_DTYPE, (instruments,)),
        ("open_by_cell", OPEN_DTYPE, cells),
        ("open_orders", "<i4", (strategies,)),
        ("unknown_orders", "<i4", cells),
        ("closings", CLOSING_DTYPE, cells),
        ("brackets", BRACKET_DTYPE, cells),
        ("tracks", TRACK_DTYPE, (strategies,)),
        ("open_results", "<i8", cells),
        ("switches", SWITCH_DTYPE, (strategies,)),
        ("sent_ns", "<i8", (MESSAGES_SENT,)),
        ("trades_seen", TRADE_DTYPE, (TRADES_SEEN if head["has_port"] else 0,)),
        ("ended_slots", "<i2", (ORDER_SLOTS,)),
        ("slots", SLOTS_DTYPE, (int(head["order_capacity"]) // SLOT_STEP,)),
    ]
    offsets, offset = [], 0
    for name, kind, shape in fields:
        step = PAGE if name == "slots" else 8
        offset = -(-offset // step) * step
        offsets.append(offset)
        offset += np.dtype((kind, shape)).itemsize
    return np.dtype(
        {
            "names": [name for name, _, _ in fields],
            "formats": [(kind, shape) for _, kind, shape in fields],
            "offsets": offsets,
            "itemsize": offset,
        }
    )

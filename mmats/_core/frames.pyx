# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Layouts of the packed records as numpy dtypes, and copies in and out of them."""

import numpy as np

from mmats._core.execution cimport request_t
from mmats._core.journal cimport record_t
from mmats._core.risk cimport verdict_t
from mmats._core.types cimport event_t, order_t, report_t

_HEADER = [
    ("kind", "u1"), ("flags", "u1"), ("spread_ticks", "<u2"), ("instrument", "<u4"),
    ("ts_event_ns", "<i8"), ("ts_recv_ns", "<i8"),
]


def _event(*fields: str):
    names = list(fields) + [f"unused_{k}" for k in range(len(fields), 5)]
    dtype = np.dtype(_HEADER + [(name, "<i8") for name in names])
    if dtype.itemsize != sizeof(event_t):
        raise AssertionError("event layout differs from types.pxd")
    return dtype


EVENT_DTYPE = _event("a", "b", "c", "d", "e")
BAR_DTYPE = _event("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
QUOTE_DTYPE = _event("bid_ticks", "ask_ticks", "bid_lots", "ask_lots", "sequence")
TRADE_DTYPE = _event("price_ticks", "size_lots", "trade_id")
DELTA_DTYPE = _event("price_ticks", "size_lots", "first_sequence", "last_sequence")

RECORD_DTYPE = np.dtype([
    ("ts_ns", "<i8"), ("ts_event_ns", "<i8"), ("signal_id", "<i8"), ("order_id", "<i8"),
    ("trade_id", "<i8"), ("lots", "<i8"), ("price_ticks", "<i8"), ("trigger_ticks", "<i8"),
    ("stop_loss_ticks", "<i8"), ("take_profit_ticks", "<i8"), ("observed", "<i8"),
    ("limit", "<i8"), ("realized", "<i8"), ("fee", "<i8"), ("spread_cost", "<i8"),
    ("slippage_cost", "<i8"), ("strategy", "<i4"), ("instrument", "<i4"), ("reason", "<i2"),
    ("kind", "i1"), ("side", "i1"), ("order_type", "i1"), ("tif", "i1"), ("flags", "i1"),
    ("role", "i1"), ("liquidity", "i1"), ("state", "i1"), ("pad_short", "<i2"), ("pad_long", "<i4"),
    ("confidence_ppm", "<i8"),
], align=True)
if RECORD_DTYPE.itemsize != sizeof(record_t):
    raise AssertionError("record layout differs from journal.pxd")

ORDER_DTYPE = np.dtype([
    ("order_id", "<i8"), ("signal_id", "<i8"), ("ts_created_ns", "<i8"), ("ts_expire_ns", "<i8"),
    ("quantity_lots", "<i8"), ("filled_lots", "<i8"), ("price_ticks", "<i8"),
    ("trigger_ticks", "<i8"), ("trail_ticks", "<i8"), ("stop_loss_ticks", "<i8"),
    ("take_profit_ticks", "<i8"), ("reference_ticks", "<i8"), ("commission", "<i8"),
    ("realized", "<i8"), ("reserved", "<i8"), ("strategy", "<i4"),
    ("instrument", "<i4"), ("side", "<i4"), ("type", "i1"), ("tif", "i1"), ("flags", "i1"),
    ("state", "i1"), ("role", "i1"),
], align=True)
if ORDER_DTYPE.itemsize != sizeof(order_t):
    raise AssertionError("order layout differs from types.pxd")

VERDICT_DTYPE = np.dtype([
    ("reason", "<i4"), ("reduces", "<i4"), ("observed", "<i8"), ("limit", "<i8"),
    ("reserve", "<i8"),
])
if VERDICT_DTYPE.itemsize != sizeof(verdict_t):
    raise AssertionError("verdict layout differs from risk.pxd")

REQUEST_DTYPE = np.dtype([
    ("order_id", "<i8"), ("ts_ns", "<i8"), ("ts_expire_ns", "<i8"), ("quantity_lots", "<i8"),
    ("price_ticks", "<i8"), ("trigger_ticks", "<i8"), ("trail_ticks", "<i8"),
    ("stop_loss_ticks", "<i8"), ("take_profit_ticks", "<i8"), ("instrument", "<i4"),
    ("strategy", "<i4"), ("kind", "i1"), ("side", "i1"), ("type", "i1"), ("tif", "i1"),
    ("flags", "i1"), ("role", "i1"), ("pad", "<i2"),
], align=True)
if REQUEST_DTYPE.itemsize != sizeof(request_t):
    raise AssertionError("request layout differs from execution.pxd")

REPORT_DTYPE = np.dtype([
    ("order_id", "<i8"), ("trade_id", "<i8"), ("ts_event_ns", "<i8"), ("ts_recv_ns", "<i8"),
    ("last_lots", "<i8"), ("last_ticks", "<i8"), ("leaves_lots", "<i8"), ("cum_lots", "<i8"),
    ("fee", "<i8"), ("touch_ticks", "<i8"), ("mid_ticks_x2", "<i8"), ("fee_currency", "<i4"),
    ("kind", "i1"), ("liquidity", "i1"), ("reason", "<i2"),
], align=True)
if REPORT_DTYPE.itemsize != sizeof(report_t):
    raise AssertionError("report layout differs from types.pxd")

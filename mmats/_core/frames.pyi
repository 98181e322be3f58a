"""Layouts of the packed records as numpy dtypes; all of them are little-endian.

The market data dtypes are 64 bytes and share one header: kind, flags, spread_ticks, instrument,
ts_event_ns, ts_recv_ns. Their meaning by kind is stated at `event_t` in types.pxd.
"""

from typing import Any

import numpy as np

EVENT_DTYPE: np.dtype[Any]
"""Any event; the five values are a to e."""
BAR_DTYPE: np.dtype[Any]
"""open_ticks, high_ticks, low_ticks, close_ticks, volume_lots."""
QUOTE_DTYPE: np.dtype[Any]
"""bid_ticks, ask_ticks, bid_lots, ask_lots, sequence."""
TRADE_DTYPE: np.dtype[Any]
"""price_ticks, size_lots, trade_id."""
DELTA_DTYPE: np.dtype[Any]
"""price_ticks, size_lots, first_sequence, last_sequence."""
RECORD_DTYPE: np.dtype[Any]
"""One journal record: signal, denial, order, report or fill."""
ORDER_DTYPE: np.dtype[Any]
"""One order, field by field as `order_t` in types.pxd."""
VERDICT_DTYPE: np.dtype[Any]
"""One answer of the risk gate: reason (0 = passes), reduces, observed, limit, reserve."""
REQUEST_DTYPE: np.dtype[Any]
"""What leaves for a venue process, field by field as `request_t` in execution.pxd."""
REPORT_DTYPE: np.dtype[Any]
"""What a venue process answers, field by field as `report_t` in types.pxd."""

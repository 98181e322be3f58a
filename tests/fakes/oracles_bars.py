"""Bars the obvious way: one dictionary of buckets."""

DAY_NS = 86_400 * 10**9
WEEK_NS = 7 * DAY_NS


def bucket_end(inside_ns: int, interval_ns: int) -> int:
    """Return the end of the bucket that holds the moment `inside_ns`."""
    origin_ns = 4 * DAY_NS if interval_ns % WEEK_NS == 0 else 0
    return ((inside_ns - origin_ns) // interval_ns + 1) * interval_ns + origin_ns


def bars_of_trades(
    trades: list[tuple[int, int, int]], interval_ns: int
) -> list[tuple[int, int, int, int, int, int]]:
    """Return (end, open, high, low, close, volume) of every bucket with (ts, price, lots) in it."""
    buckets: dict[int, list[tuple[int, int]]] = {}
    for ts_ns, price, lots in trades:
        buckets.setdefault(bucket_end(ts_ns, interval_ns), []).append((price, lots))
    bars = []
    for end_ns in sorted(buckets):
        prices = [price for price, _ in buckets[end_ns]]
        volume = sum(lots for _, lots in buckets[end_ns])
        bars.append((end_ns, prices[0], max(prices), min(prices), prices[-1], volume))
    return bars

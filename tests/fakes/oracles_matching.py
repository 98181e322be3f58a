"""What one order does in one bar, straight from the table of fill conditions."""

from dataclasses import dataclass

from tests.fakes.venue_market import BID_BARS, BUY, LIMIT, MID_BARS, STOP


@dataclass(frozen=True)
class OneBar:
    """A bar and the costs on it; `flags` says whose prices it shows."""

    open: int
    high: int
    low: int
    flags: int
    spread: int
    slip: int

    @property
    def to_bid(self) -> int:
        return 0 if self.flags & BID_BARS else -(self.spread // 2)

    @property
    def to_ask(self) -> int:
        return self.to_bid + self.spread


def price_in_one_bar(bar: OneBar, kind: int, side: int, level: int) -> int | None:
    """Price at which a resting order fills, None = not in this bar. Volume is unbounded."""
    if kind == LIMIT:
        quoted = bar.flags & (BID_BARS | MID_BARS)
        if side == BUY:
            return level if bar.low + (bar.to_ask if quoted else 0) < level else None
        return level if bar.high + (bar.to_bid if quoted else 0) > level else None
    if kind == STOP:
        if side == BUY:
            met = bar.high + bar.to_ask >= level
            return max(level, bar.open + bar.to_ask) + bar.slip if met else None
        met = bar.low + bar.to_bid <= level
        return min(level, bar.open + bar.to_bid) - bar.slip if met else None
    if side == BUY:
        return level + bar.slip if bar.low + bar.to_ask < level else None
    return level - bar.slip if bar.high + bar.to_bid > level else None

"""How a strategy's signals become quantities, in the units of the compiled order manager."""

from mmats._core import Sizing
from mmats.config.schema import StrategyTable
from mmats.config.units import Percent

SIZINGS = {
    "signal": Sizing.SIZING_SIGNAL,
    "fixed_fractional": Sizing.SIZING_FIXED_FRACTIONAL,
    "kelly": Sizing.SIZING_KELLY,
}
KELLY_TRADES_MIN = 30
"""Closed trades before Kelly is trusted; until then the fixed fraction counts."""


def sizing_of(table: StrategyTable) -> dict[str, int]:
    """Return the sizing of a strategy, by field of `sizing_t`."""
    fractions: dict[str, Percent] = {
        "risk_ppm": table.risk_per_trade,
        "kelly_fraction_ppm": table.kelly_fraction,
        "kelly_cap_ppm": table.kelly_cap,
    }
    return {
        "mode": int(SIZINGS[table.sizing]),
        "kelly_trades_min": KELLY_TRADES_MIN,
        **{name: share.ppm for name, share in fractions.items()},
    }

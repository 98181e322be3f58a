"""What a simulated fill costs: fee assets, slippage models and the slippage formula."""

from enum import IntEnum

class FeeAsset(IntEnum):
    """In which asset a fill pays its fee."""

    FEE_QUOTE = 1
    FEE_BASE = 2
    FEE_RECEIVED = 3
    FEE_THIRD = 4
    FEE_ACCOUNT = 5

class SlippageModel(IntEnum):
    """How much worse than the touch a taker trades."""

    SLIPPAGE_NONE = 0
    SLIPPAGE_TICKS = 1
    SLIPPAGE_PPM = 2
    SLIPPAGE_VOLUME = 3

def slippage_ticks(price_ticks: int, lots: int, volume_lots: int, *, model: int, value: int) -> int:
    """Return the slippage in ticks (>= 0, rounded up) of a taker of `lots` at `price_ticks`.

    `value` is ticks for SLIPPAGE_TICKS and millionths of the price otherwise; SLIPPAGE_VOLUME
    scales it by `(lots / volume_lots)**2`, at most 1, and 1 where `volume_lots` is 0 (unknown).
    Raises ValueError for a price or quantity that is not positive.
    """

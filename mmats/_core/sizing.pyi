"""How many lots a signal becomes: as asked, fixed fractional, or Kelly; never rounded up."""

from enum import IntEnum

from mmats._core.ledger import Ledger

class Sizing(IntEnum):
    """Where the size of an entry comes from."""

    SIZING_SIGNAL = 1
    SIZING_FIXED_FRACTIONAL = 2
    SIZING_KELLY = 3

def risk_lots(ledger: Ledger, instrument: int, budget: int, stop_distance_ticks: int) -> int:
    """Most lots that lose no more than ``budget`` over ``stop_distance_ticks``.

    ``budget`` is in 1e-8 units of the account currency. 0 where it can't be computed. Raises
    ``IndexError``.
    """

def risk_share(wins: int, losses: int, won: int, lost: int, **sizing: int) -> int:
    """Share of equity to risk, in millionths, after such closed trades.

    ``won`` and ``lost`` are sums of money, both positive; ``sizing`` are all fields of
    ``sizing_t``. Kelly (1956): wins / trades - losses / trades * average loss / average win,
    times ``kelly_fraction_ppm``, at most ``kelly_cap_ppm``. Raises ``ValueError``.
    """

"""Orders against the market as it stands: which one acts, how much it gets, at what price."""

from mmats._core.desk import OrderDesk

class Crossing(OrderDesk):
    """Base of the simulated venue: the fill conditions; used from compiled code only."""

"""Orders against the market as it stands; used from compiled code only."""

from mmats._core.desk import OrderDesk

class Crossing(OrderDesk):
    """Base of the simulated venue: which order acts, how much it gets, at what price."""

"""Stops and targets: they follow the position that they protect."""

from mmats._core.dispatch import Dispatch

class Brackets(Dispatch):
    """Base of the order manager."""

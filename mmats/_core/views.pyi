"""Copies of the order manager's state for those outside, and what a restart does with it."""

import numpy as np
from numpy.typing import NDArray

from mmats._core.orders import OrderManager
from mmats._core.pipeline import Pipeline

def open_orders(orders: OrderManager) -> NDArray[np.void]:
    """Return a copy of every order that is not done, ORDER_DTYPE, by slot."""

def resubmit_open(pipeline: Pipeline, now_ns: int) -> int:
    """Give a fresh simulated venue the orders that a recovered engine has open; returns how many.

    Only what is left of them, in the order in which they were first sent. One whose cancel was on
    its way is canceled again. Nothing is journaled: the engine's own state does not change.
    """

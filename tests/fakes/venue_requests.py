"""Requests to a venue in short form."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import REQUEST_DTYPE

SUBMIT, CANCEL, MODIFY, QUERY = 1, 2, 3, 4
DEFAULTS = {
    SUBMIT: {"side": 1, "type": 1, "tif": 1, "role": 1, "quantity_lots": 1},
    CANCEL: {},
    MODIFY: {},
    QUERY: {},
}


def request(kind: int, order_id: int, **fields: int) -> NDArray[Any]:
    """One request; a submit is a market order to buy one lot unless said otherwise."""
    out = np.zeros(1, REQUEST_DTYPE)
    out["kind"], out["order_id"] = kind, order_id
    for name, value in {**DEFAULTS[kind], **fields}.items():
        out[name] = value
    return out

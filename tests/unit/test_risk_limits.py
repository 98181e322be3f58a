"""Limits in the units of the gate, and back as a configuration writes them."""

import pytest

from mmats._core import NO_LIMIT
from mmats.config import schema
from mmats.config.decode import decode_value
from mmats.risk.limits import limit_fields, limit_texts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("daily_loss_max", "5%"),
        ("drawdown_max", "7.5 EUR"),
        ("gross_exposure_max", "200%"),
        ("order_notional_max", "150 EUR"),
        ("order_notional_min", "0.01 EUR"),
        ("price_collar", "0.5%"),
        ("message_rate_max", "10/s"),
        ("open_orders_max", "50"),
    ],
)
def test_a_limit_comes_back_as_it_was_written(name: str, text: str) -> None:
    types = schema.RiskTable.__annotations__
    value = int(text) if text.isdecimal() else decode_value(types[name], text, name, [])
    fields = {"stop_loss_required": 0, **limit_fields(name, value, "EUR")}
    assert limit_texts("global", fields, "EUR") == {name: text, "stop_loss_required": "false"}


def test_what_is_lifted_is_not_told() -> None:
    fields = {"daily_loss_ppm": NO_LIMIT, "messages_max": NO_LIMIT, "order_notional_min": 0}
    assert limit_texts("market", fields, "EUR") == {}

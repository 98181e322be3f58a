"""The risk gate: each rule just below, at and just above its limit."""

from typing import Any

import pytest

from mmats._core import NO_LIMIT, Ledger, Reason, RiskGate
from mmats._core.limits import LEVEL_LIMITS

UNIT = 10**8
DAY = 86_400 * 10**9
NOW = 20_000 * DAY + DAY // 2
CRYPTO, FOREX = 0, 1
COIN, PAIR, OTHER = 0, 1, 2  # spot at 100.00, margin 1:10 at 100.00, margin in the other market
LIMIT, STOP, TAKE_PROFIT, TRAILING = 2, 3, 5, 6
ENTRY, PROTECT, TARGET, MANUAL, FLATTEN = 1, 2, 3, 4, 5
REDUCE_ONLY = 2
ACTIVE, REDUCING, HALTED = 1, 2, 3


class Desk:
    """10,000.00 in the account; one tick * lot is 0.01, so a lot costs 100.00 at the mark."""

    def __init__(self, money: int = 10_000, **instrument: int) -> None:
        self.ledger = Ledger(4, 3, 2, 0)
        for index, (market, settlement) in enumerate([(CRYPTO, 1), (CRYPTO, 2), (FOREX, 2)]):
            self.ledger.declare_instrument(
                **{
                    "index": index, "market": market, "base_currency": index + 1,
                    "quote_currency": 0, "settlement": settlement, "money_num": UNIT // 100,
                    "lot_units": UNIT, "margin_ppm": 100_000, "quantity_min_lots": 1,
                    "quantity_max_lots": 10**6, **instrument,
                }
            )  # fmt: skip
            self.ledger.set_rate(index + 1, 3, index)
        self.ledger.deposit(0, money * UNIT)
        self.gate = RiskGate(self.ledger, 2)
        self.mark(10_000)

    def mark(self, price: int, now: int = NOW) -> None:
        for index in (COIN, PAIR, OTHER):
            self.ledger.mark_price(index, price, now)
        self.gate.update(now)

    def fill(self, lots: int, instrument: int = PAIR, strategy: int = 0) -> None:
        side = 1 if lots > 0 else -1
        self.ledger.apply(
            strategy=strategy, instrument=instrument, side=side, lots=abs(lots),
            price=10_000, now_ns=NOW,
        )  # fmt: skip
        self.gate.update(NOW)

    def ask(self, lots: int = 1, now: int = NOW, **fields: int) -> Any:
        """Check an order; negative lots sell."""
        fields = {"instrument": PAIR, **fields}
        side = 1 if lots > 0 else -1
        return self.gate.check_order(now, side=side, quantity_lots=abs(lots), **fields)

    def why(self, lots: int = 1, now: int = NOW, **fields: int) -> str:
        name: str = self.ask(lots, now, **fields)["reason"].name
        return name.removeprefix("REASON_")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_without_limits_an_affordable_order_passes(desk: Desk) -> None:
    verdict = desk.ask(1)
    assert verdict == {
        "reason": Reason.REASON_OK, "reduces": False, "observed": 0, "limit": 0,
        "reserve": 10 * UNIT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"side": 0}, "ORDER_INVALID"),
        ({"side": 2}, "ORDER_INVALID"),
        ({"type": 0}, "ORDER_INVALID"),
        ({"type": 7, "price_ticks": 1}, "ORDER_INVALID"),
        ({"tif": 0}, "ORDER_INVALID"),
        ({"tif": 6}, "ORDER_INVALID"),
        ({"role": PROTECT}, "ORDER_INVALID"),
        ({"role": FLATTEN}, "ORDER_INVALID"),
        ({"quantity_lots": 0}, "QUANTITY_ZERO"),
        ({"quantity_lots": -1}, "QUANTITY_ZERO"),
        ({"filled_lots": 1}, "QUANTITY_ZERO"),
        ({"filled_lots": -1}, "QUANTITY_ZERO"),
        ({"type": LIMIT}, "PRICE_INVALID"),
        ({"price_ticks": -1}, "PRICE_INVALID"),
        ({"type": STOP}, "PRICE_INVALID"),
        ({"type": TAKE_PROFIT}, "PRICE_INVALID"),
        ({"trigger_ticks": -1}, "PRICE_INVALID"),
        ({"type": TRAILING}, "PRICE_INVALID"),
        ({"stop_loss_ticks": -1}, "PRICE_INVALID"),
        ({"take_profit_ticks": -1}, "PRICE_INVALID"),
        ({"flags": REDUCE_ONLY}, "NOTHING_TO_REDUCE"),
    ],
)
def test_form(desk: Desk, fields: dict[str, int], why: str) -> None:
    order = {"instrument": PAIR, "quantity_lots": 1, **fields}
    assert desk.gate.check_order(NOW, **order)["reason"].name == f"REASON_{why}"


def test_unknown_fields_and_indices_are_refused(desk: Desk) -> None:
    with pytest.raises(TypeError, match="colour"):
        desk.gate.check_order(NOW, colour=1)
    for wrong in ({"strategy": 2}, {"strategy": -1}, {"instrument": 3}):
        with pytest.raises(IndexError, match="no strategy"):
            desk.gate.check_order(NOW, **wrong)


# -- one limit each: (limits, largest order that passes, reason of one lot more) -------------------

LOT = 100 * UNIT
STEPS: list[tuple[str, int, dict[str, int], int, str]] = [
    ("global", 0, {"order_notional_max": 3 * LOT}, 3, "NOTIONAL_MAX"),
    ("market", CRYPTO, {"order_notional_max": 3 * LOT}, 3, "NOTIONAL_MAX"),
    ("strategy", 0, {"order_notional_max": 3 * LOT}, 3, "NOTIONAL_MAX"),
    ("symbol", PAIR, {"order_notional_max": 3 * LOT}, 3, "NOTIONAL_MAX"),
    ("global", 0, {"position_notional_max": 4 * LOT}, 4, "POSITION_MAX"),
    ("market", CRYPTO, {"position_notional_max": 4 * LOT}, 4, "POSITION_MAX"),
    ("strategy", 0, {"position_notional_max": 4 * LOT}, 4, "POSITION_MAX"),
    ("symbol", PAIR, {"position_notional_max": 4 * LOT}, 4, "POSITION_MAX"),
    ("global", 0, {"exposure_max": 5 * LOT}, 5, "GROSS_EXPOSURE"),
    ("market", CRYPTO, {"exposure_max": 5 * LOT}, 5, "MARKET_EXPOSURE"),
    ("strategy", 0, {"exposure_max": 5 * LOT}, 5, "STRATEGY_EXPOSURE"),
    ("global", 0, {"exposure_ppm": 60_000}, 6, "GROSS_EXPOSURE"),
    ("market", CRYPTO, {"exposure_ppm": 60_000}, 6, "MARKET_EXPOSURE"),
    ("strategy", 0, {"exposure_ppm": 60_000}, 6, "STRATEGY_EXPOSURE"),
]


@pytest.mark.parametrize(("level", "index", "limits", "most", "why"), STEPS)
@pytest.mark.parametrize("side", [1, -1])
def test_size_limits(
    desk: Desk, level: str, index: int, limits: dict[str, int], most: int, why: str, side: int
) -> None:
    desk.gate.set_limits(level, index, **limits)
    assert [desk.why(side * (most + step)) for step in (-1, 0, 1)] == ["OK", "OK", why]
    denied = desk.ask(side * (most + 1))
    assert denied["observed"] == (most + 1) * LOT
    assert denied["limit"] == most * LOT
    # An amount one unit smaller no longer holds the largest order; another scope does not care.
    name, value = next(iter(limits.items()))
    desk.gate.set_limits(level, index, **{name: value - 1})
    assert desk.why(side * most) == why
    if level != "global":
        others = {"instrument": OTHER, "strategy": 1}
        assert desk.why(side * (most + 1), **others) == "OK"


@pytest.mark.parametrize(("level", "index", "limits", "most", "why"), STEPS[4:])
def test_open_orders_and_positions_count_at_their_worst(
    desk: Desk, level: str, index: int, limits: dict[str, int], most: int, why: str
) -> None:
    desk.gate.set_limits(level, index, **limits)
    desk.fill(1)
    desk.gate.hold(instrument=PAIR, quantity_lots=1)
    desk.gate.hold(instrument=PAIR, quantity_lots=2, side=-1)
    # Stops and targets only follow the position.
    for role in (PROTECT, TARGET):
        desk.gate.hold(instrument=PAIR, quantity_lots=9, side=-1, role=role, flags=REDUCE_ONLY)
    assert [desk.why(most - 2 + step) for step in (-1, 0, 1)] == ["OK", "OK", why]
    assert [desk.why(-(most - 1 + step)) for step in (-1, 0, 1)] == ["OK", "OK", why]


def test_quantity_limits() -> None:
    desk = Desk(quantity_min_lots=3, quantity_max_lots=9)
    assert [desk.why(n) for n in (2, 3, 4)] == ["QUANTITY_MIN", "OK", "OK"]
    assert [desk.why(n) for n in (8, 9, 10)] == ["OK", "OK", "QUANTITY_MAX"]
    desk.gate.set_quantity_limits(PAIR, 6, 7)
    assert [desk.why(n) for n in (5, 6, 7)] == ["OK", "OK", "QUANTITY_MAX"]
    desk.gate.set_quantity_limits(PAIR, 8, 7)
    assert [desk.why(n) for n in (6, 7, 8)] == ["OK", "OK", "POSITION_MAX"]


def test_smallest_notional_of_venue_and_owner() -> None:
    desk = Desk(notional_min=3 * LOT)
    assert [desk.why(n) for n in (2, 3, 4)] == ["NOTIONAL_MIN", "OK", "OK"]
    # A limit price counts, not the mark.
    assert desk.why(3, type=LIMIT, price_ticks=9_999) == "NOTIONAL_MIN"
    # The stop that is to protect it must be large enough too.
    assert desk.why(3, stop_loss_ticks=9_999) == "NOTIONAL_MIN"
    assert desk.why(4, stop_loss_ticks=7_500) == "OK"
    assert desk.why(4, stop_loss_ticks=7_499) == "NOTIONAL_MIN"
    desk = Desk()
    desk.gate.set_limits("global", order_notional_min=3 * LOT)
    assert [desk.why(n) for n in (2, 3, 4)] == ["NOTIONAL_MIN", "OK", "OK"]
    desk.fill(2)
    assert desk.why(-2) == "OK"  # a reduction may be smaller than an entry


def test_one_stop_must_fit_the_whole_position() -> None:
    desk = Desk(quantity_max_lots=9)
    desk.fill(5)
    assert [desk.why(n, stop_loss_ticks=9_000) for n in (4, 5)] == ["OK", "QUANTITY_MAX"]
    assert desk.why(5) == "OK"


@pytest.mark.parametrize("field", ["price_ticks", "trigger_ticks"])
def test_price_collar(desk: Desk, field: str) -> None:
    desk.gate.set_limits("global", price_collar_ppm=50_000)
    kind = LIMIT if field == "price_ticks" else STOP
    prices = (9_499, 9_500, 9_501, 10_499, 10_500, 10_501)
    asked = [desk.why(1, type=kind, **{field: price}) for price in prices]
    assert asked == ["PRICE_COLLAR", "OK", "OK", "OK", "OK", "PRICE_COLLAR"]
    desk.fill(1)
    assert desk.why(-1, type=kind, **{field: 20_000}) == "OK"


def test_stop_and_target_sides(desk: Desk) -> None:
    for lots, losing, winning in ((1, 9_999, 10_001), (-1, 10_001, 9_999)):
        assert desk.why(lots, stop_loss_ticks=losing) == "OK"
        assert desk.why(lots, stop_loss_ticks=10_000) == "STOP_LOSS_SIDE"
        assert desk.why(lots, stop_loss_ticks=winning) == "STOP_LOSS_SIDE"
        assert desk.why(lots, take_profit_ticks=winning) == "OK"
        assert desk.why(lots, take_profit_ticks=10_000) == "TAKE_PROFIT_SIDE"
        assert desk.why(lots, take_profit_ticks=losing) == "TAKE_PROFIT_SIDE"


@pytest.mark.parametrize("level", ["global", "strategy"])
def test_stop_loss_required(desk: Desk, level: str) -> None:
    desk.gate.set_limits(level, stop_loss_required=1)
    assert desk.why(1) == "STOP_LOSS_MISSING"
    assert desk.why(1, stop_loss_ticks=9_000) == "OK"
    desk.fill(1)
    assert desk.why(-1) == "OK"


def test_open_order_counts(desk: Desk) -> None:
    desk.gate.set_limits("global", open_orders_max=2)
    desk.gate.set_limits("strategy", 0, open_orders_max=1)
    orders = [{"instrument": PAIR, "quantity_lots": 1, "strategy": s} for s in (0, 1)]
    assert desk.why() == "OK"
    desk.gate.hold(**orders[0])
    assert [desk.why(), desk.why(strategy=1)] == ["STRATEGY_OPEN_ORDERS", "OK"]
    desk.gate.hold(**orders[1])
    assert [desk.why(), desk.why(strategy=1)] == ["OPEN_ORDERS", "OPEN_ORDERS"]
    for order in orders:
        desk.gate.release(**order)
    assert desk.why() == "OK"
    assert (desk.gate.open_order_count, desk.gate.reserved) == (0, 0)
    assert desk.gate.open_lots(PAIR) == (0, 0)


# -- money -----------------------------------------------------------------------------------------


def test_buying_power_to_the_unit(desk: Desk) -> None:
    # 10,000 at 10 % margin: 1000 lots; a coin is paid in full: 100.
    assert [desk.why(n) for n in (999, 1000, 1001)] == ["OK", "OK", "BUYING_POWER"]
    coins = [desk.why(n, instrument=COIN) for n in (99, 100, 101)]
    assert coins == ["OK", "OK", "BUYING_POWER"]
    desk.gate.hold(instrument=PAIR, quantity_lots=1, reserved=1)
    assert [desk.why(n) for n in (999, 1000)] == ["OK", "BUYING_POWER"]
    assert desk.ask(1000)["limit"] == 10_000 * UNIT - 1


def test_fees_and_the_buffer_of_market_orders_are_reserved(desk: Desk) -> None:
    desk.gate.set_reserve(1_000, 5_000)
    assert desk.ask(1, instrument=COIN)["reserve"] == 100_5 * UNIT // 10 + 10_05 * UNIT // 10_000
    limited = desk.ask(1, instrument=COIN, type=LIMIT, price_ticks=10_000)
    assert limited["reserve"] == 100 * UNIT + UNIT // 10
    for wrong in ((-1, 0), (0, -1), (10**6 + 1, 0)):
        with pytest.raises(ValueError, match="must be 0 to"):
            desk.gate.set_reserve(*wrong)


@pytest.mark.parametrize(
    ("lots", "fields", "price"),
    [
        (1, {"type": LIMIT, "price_ticks": 9_000}, 9_000),
        (-1, {"type": LIMIT, "price_ticks": 9_000}, 10_000),  # a sale may get more than its limit
        (-1, {"type": LIMIT, "price_ticks": 12_000}, 12_000),
        (1, {"type": STOP, "trigger_ticks": 12_000}, 12_000),
        (1, {"type": STOP, "trigger_ticks": 5_000}, 10_000),  # the market has passed the trigger
        (1, {"type": TRAILING, "trail_ticks": 500}, 10_500),
        (1, {"type": TRAILING, "trail_ticks": 500, "trigger_ticks": 10_200}, 10_200),
        (-1, {"type": TRAILING, "trail_ticks": 500}, 10_000),
        (1, {"type": TAKE_PROFIT, "trigger_ticks": 9_000}, 10_000),
    ],
)
def test_the_worst_price_counts(desk: Desk, lots: int, fields: dict[str, int], price: int) -> None:
    worth = price * UNIT // 100
    desk.gate.set_limits("global", order_notional_max=worth)
    assert desk.ask(lots, **fields)["reserve"] == worth // 10
    desk.gate.set_limits("global", order_notional_max=worth - 1)
    assert desk.why(lots, **fields) == "NOTIONAL_MAX"


def test_margin_of_turning_a_position_round(desk: Desk) -> None:
    desk.fill(10)
    assert desk.ask(-20)["reserve"] == 0  # from +10 to -10
    assert desk.ask(-25)["reserve"] == 50 * UNIT
    desk.gate.hold(instrument=PAIR, quantity_lots=20, side=-1)
    assert desk.ask(-5)["reserve"] == 50 * UNIT  # the close is used up by the order before it


def test_only_own_holdings_can_be_sold(desk: Desk) -> None:
    desk.fill(5, COIN, strategy=1)
    assert desk.why(-1, instrument=COIN) == "ASSET_SHORT"
    desk.fill(3, COIN)
    assert [desk.why(-n, instrument=COIN) for n in (2, 3, 4)] == ["OK", "OK", "ASSET_SHORT"]
    desk.gate.hold(instrument=COIN, quantity_lots=2, side=-1)
    assert [desk.why(-n, instrument=COIN) for n in (1, 2)] == ["OK", "ASSET_SHORT"]


def foreign(auto_convert: bool) -> Desk:
    """Account in currency 0; a coin (2) quoted in dollars (1) that are worth 1.00 by a pair."""
    desk = Desk.__new__(Desk)
    desk.ledger = Ledger(3, 2, 1, 0)
    common = {"market": 0, "money_num": UNIT // 100, "quantity_max_lots": 10**9}
    desk.ledger.declare_instrument(
        index=0, base_currency=2, quote_currency=1, settlement=1, lot_units=UNIT, **common
    )
    desk.ledger.declare_instrument(
        index=1, base_currency=1, quote_currency=0, settlement=2, lot_units=UNIT,
        margin_ppm=100_000, **common,
    )  # fmt: skip
    desk.ledger.set_rate(1, 3, 1)
    desk.ledger.set_rate(2, 3, 0)
    desk.ledger.auto_convert = auto_convert
    desk.ledger.conversion_cost_ppm = 10_000
    desk.ledger.deposit(0, 1_000 * UNIT)
    desk.ledger.deposit(1, 500 * UNIT)
    desk.gate = RiskGate(desk.ledger, 1)
    desk.ledger.mark_price(0, 10_000, NOW)
    desk.ledger.mark_price(1, 100, NOW)
    desk.gate.update(NOW)
    return desk


def test_purchases_in_a_foreign_currency() -> None:
    desk = foreign(auto_convert=True)
    assert desk.ask(1, instrument=0)["reserve"] == 101 * UNIT  # with the cost of conversion
    assert [desk.why(n, instrument=0) for n in (14, 15)] == ["OK", "BUYING_POWER"]
    desk = foreign(auto_convert=False)
    assert [desk.why(n, instrument=0) for n in (5, 6)] == ["OK", "BUYING_POWER"]


# -- losses ----------------------------------------------------------------------------------------

LOSSES: list[tuple[str, int, dict[str, int], str]] = [
    ("global", 0, {"daily_loss_max": 10 * UNIT}, "DAILY_LOSS"),
    ("global", 0, {"daily_loss_ppm": 1_000}, "DAILY_LOSS"),
    ("global", 0, {"drawdown_max": 10 * UNIT}, "DRAWDOWN"),
    ("global", 0, {"drawdown_ppm": 1_000}, "DRAWDOWN"),
    ("market", CRYPTO, {"daily_loss_max": 10 * UNIT}, "MARKET_DAILY_LOSS"),
    ("market", CRYPTO, {"daily_loss_ppm": 1_000}, "MARKET_DAILY_LOSS"),
    ("strategy", 0, {"daily_loss_max": 10 * UNIT}, "STRATEGY_DAILY_LOSS"),
    ("strategy", 0, {"daily_loss_ppm": 1_000}, "STRATEGY_DAILY_LOSS"),
    ("strategy", 0, {"drawdown_max": 10 * UNIT}, "STRATEGY_DRAWDOWN"),
    ("strategy", 0, {"drawdown_ppm": 1_000}, "STRATEGY_DRAWDOWN"),
]


@pytest.mark.parametrize(("level", "index", "limits", "why"), LOSSES)
def test_losses(desk: Desk, level: str, index: int, limits: dict[str, int], why: str) -> None:
    desk.gate.set_limits(level, index, **limits)
    desk.fill(10)
    asked = []
    for price in (9_901, 9_900, 9_899):
        desk.mark(price)
        asked.append(desk.why())
    assert asked == ["OK", why, why]
    assert desk.why(-10) == "OK"
    if level == "market":
        assert desk.why(1, instrument=OTHER) == "OK"
    if level == "strategy":
        assert desk.why(1, strategy=1) == "OK"
    desk.mark(9_890, NOW + DAY)  # a new UTC day forgives the daily loss, not the drawdown
    assert (desk.why(now=NOW + DAY) == "OK") is ("daily" in next(iter(limits)))


def test_the_day_ends_at_midnight(desk: Desk) -> None:
    desk.gate.set_limits("global", daily_loss_max=10 * UNIT)
    desk.fill(10)
    midnight = (NOW // DAY + 1) * DAY
    desk.mark(9_900, midnight - 1)
    assert desk.why() == "DAILY_LOSS"
    desk.mark(9_900, midnight)
    assert desk.why() == "OK"


def test_the_peak_follows_profits(desk: Desk) -> None:
    desk.gate.set_limits("global", drawdown_max=10 * UNIT)
    desk.gate.set_limits("strategy", 0, drawdown_max=10 * UNIT)
    desk.fill(10)
    desk.mark(10_500)
    desk.mark(10_401)
    assert desk.why() == "OK"
    desk.mark(10_400)
    assert [desk.why(), desk.why(strategy=1)] == ["DRAWDOWN", "DRAWDOWN"]
    desk.gate.set_limits("global", drawdown_max=NO_LIMIT)
    assert [desk.why(), desk.why(strategy=1)] == ["STRATEGY_DRAWDOWN", "OK"]


def test_carry_is_part_of_a_strategys_result(desk: Desk) -> None:
    desk.gate.set_limits("strategy", 0, daily_loss_max=10 * UNIT)
    desk.ledger.pay_carry(0, PAIR, -10 * UNIT + 1)
    assert desk.why() == "OK"
    desk.ledger.pay_carry(0, PAIR, -1)
    assert desk.why() == "STRATEGY_DAILY_LOSS"


# -- states, messages, reductions ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "index", "names"),
    [
        ("global", 0, ("REDUCING", "HALTED")),
        ("market", CRYPTO, ("MARKET_HALTED", "MARKET_HALTED")),
        ("strategy", 0, ("STRATEGY_HALTED", "STRATEGY_HALTED")),
        ("symbol", PAIR, ("SYMBOL_HALTED", "SYMBOL_HALTED")),
    ],
)
def test_trading_states(desk: Desk, level: str, index: int, names: tuple[str, str]) -> None:
    desk.fill(2)
    engines = {"role": FLATTEN, "flags": REDUCE_ONLY}
    desk.gate.set_limits(level, index, trading_state=REDUCING)
    assert [desk.why(1), desk.why(-3), desk.why(-2)] == [names[0], names[0], "OK"]
    assert desk.why(-2, **engines) == "OK"
    desk.gate.set_limits(level, index, trading_state=HALTED)
    assert [desk.why(1), desk.why(-3), desk.why(-2)] == [names[1]] * 3
    assert [desk.why(-2, **engines), desk.why(-2, role=MANUAL)] == ["OK", "OK"]
    assert desk.why(1, role=MANUAL) == names[1]
    if level != "global":
        assert desk.why(1, instrument=OTHER, strategy=1) == "OK"
    desk.gate.set_limits(level, index, trading_state=ACTIVE)
    assert desk.why(1) == "OK"


def test_message_rate_is_exact(desk: Desk) -> None:
    desk.gate.set_limits("global", messages_max=3, message_window_ns=100)
    for ts in (0, 10, 20):
        assert desk.why(now=NOW + ts) == "OK"
        desk.gate.tell_sent(NOW + ts)
    assert [desk.why(now=NOW + ts) for ts in (20, 99, 100)] == ["MESSAGE_RATE"] * 2 + ["OK"]
    desk.gate.tell_sent(NOW + 100)
    assert [desk.why(now=NOW + ts) for ts in (109, 110)] == ["MESSAGE_RATE", "OK"]
    desk.fill(1)
    assert desk.why(-1, now=NOW + 109) == "MESSAGE_RATE"
    assert desk.why(-1, now=NOW + 109, role=PROTECT, flags=REDUCE_ONLY) == "OK"


def test_message_rate_with_the_longest_window(desk: Desk) -> None:
    desk.gate.set_limits("global", messages_max=1024, message_window_ns=10_000)
    for ts in range(3000):
        desk.gate.tell_sent(NOW + 10 * ts)
    last = 10 * (3000 - 1024)
    assert desk.why(now=NOW + last + 9_999) == "MESSAGE_RATE"
    assert desk.why(now=NOW + last + 10_000) == "OK"


def test_what_is_being_closed_counts_as_closed(desk: Desk) -> None:
    desk.fill(10)
    assert desk.ask(-10)["reduces"]
    assert not desk.ask(-11)["reduces"]
    desk.gate.hold(instrument=PAIR, quantity_lots=6, side=-1, flags=REDUCE_ONLY)
    assert [desk.ask(-n)["reduces"] for n in (4, 5)] == [True, False]
    # An order that says so itself can never do more than close.
    assert desk.ask(-10, flags=REDUCE_ONLY)["reduces"]
    assert desk.why(-11, flags=REDUCE_ONLY) == "NOTHING_TO_REDUCE"


def test_a_reduction_that_makes_the_net_position_larger(desk: Desk) -> None:
    desk.fill(10)
    desk.fill(-10, strategy=1)  # the account is flat
    desk.gate.set_limits("global", exposure_max=9 * LOT, daily_loss_max=0)
    assert desk.ask(-9)["reduces"]
    assert [desk.why(-n) for n in (9, 10)] == ["OK", "GROSS_EXPOSURE"]
    assert desk.ask(-9)["reserve"] == 90 * UNIT
    # A stop is not refused for what another strategy holds.
    assert desk.why(-10, role=PROTECT, flags=REDUCE_ONLY) == "OK"
    desk.gate.set_limits("global", exposure_max=NO_LIMIT)
    desk.gate.hold(instrument=OTHER, strategy=1, quantity_lots=1, reserved=9_999 * UNIT)
    assert desk.why(-10) == "BUYING_POWER"


# -- what can't be computed ------------------------------------------------------------------------


def test_a_market_without_a_price_takes_no_entries() -> None:
    desk = Desk(stale_after_ns=1000)
    assert [desk.why(now=NOW + ts) for ts in (999, 1000, 1001)] == [
        "OK", "OK", "VALUATION_UNKNOWN",
    ]  # fmt: skip
    desk.fill(1)
    assert desk.why(-1, now=NOW + DAY) == "OK"
    desk.gate = RiskGate(desk.ledger, 2)  # has never seen an equity
    assert not desk.gate.is_valued
    assert [desk.why(1), desk.why(-1)] == ["VALUATION_UNKNOWN", "OK"]


def test_what_does_not_fit_in_64_bits_is_denied() -> None:
    desk = Desk(quantity_max_lots=0)
    assert desk.why(2**62) == "OVERFLOW"
    desk = Desk(quantity_max_lots=0, notional_min=1)
    assert desk.why(2**62) == "OVERFLOW"
    desk.gate.hold(instrument=PAIR, quantity_lots=2**63 - 1)
    assert desk.why(1) == "OVERFLOW"


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "index", "limits", "problem"),
    [
        ("galaxy", 0, {}, "no risk scope"),
        ("market", 2, {}, "no risk scope"),
        ("strategy", -1, {}, "no risk scope"),
        ("symbol", 3, {}, "no risk scope"),
        ("global", 0, {"exposur_max": 1}, "no such limit"),
        ("market", 0, {"messages_max": 1}, "no such limit"),
        ("symbol", 0, {"daily_loss_max": 1}, "no such limit"),
        ("global", 0, {"exposure_max": -1}, "not negative"),
        ("global", 0, {"trading_state": 0}, "no TradingState"),
        ("global", 0, {"trading_state": 4}, "no TradingState"),
        ("global", 0, {"messages_max": 5}, "message_window_ns"),
        ("global", 0, {"messages_max": 1025, "message_window_ns": 1}, "1 to 1024"),
        ("global", 0, {"messages_max": 0, "message_window_ns": 1}, "1 to 1024"),
    ],
)
def test_bad_limits_change_nothing(
    desk: Desk, level: str, index: int, limits: dict[str, int], problem: str
) -> None:
    before = desk.gate.limits("global")
    with pytest.raises(ValueError, match=problem):
        desk.gate.set_limits(level, index, **limits)
    assert desk.gate.limits("global") == before


def test_each_level_tells_its_limits(desk: Desk) -> None:
    for level, names in LEVEL_LIMITS.items():
        assert set(desk.gate.limits(level)) == names
    with pytest.raises(ValueError, match="must not be negative"):
        desk.gate.set_quantity_limits(PAIR, -1, 0)
    with pytest.raises(IndexError, match="no instrument 3"):
        desk.gate.open_lots(3)


def test_a_gate_fits_its_ledger() -> None:
    ledger = Ledger(2, 1, 1, 0)
    ledger.declare_instrument(
        index=0, market=1, base_currency=1, quote_currency=0, settlement=1, money_num=1,
        lot_units=1,
    )  # fmt: skip
    for markets, problem in ((0, "at least one market"), (1, "in market 1 of 1")):
        with pytest.raises(ValueError, match=problem):
            RiskGate(ledger, markets)

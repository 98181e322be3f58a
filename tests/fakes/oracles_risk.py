"""The risk gate once more, slow and plain: one function for each rule, Python integers, no state.

A `Scene` is everything the gate knows of the account; an order is a dict by field of `order_t`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

PPM = 1_000_000
NONE = 2**63 - 1
SPOT = 1
MARKET, LIMIT, STOP, STOP_LIMIT, TAKE_PROFIT, TRAILING = 1, 2, 3, 4, 5, 6
STRATEGYS, PROTECT, TARGET, MANUAL, FLATTEN = 1, 2, 3, 4, 5
ACTIVE, REDUCING, HALTED = 1, 2, 3
REDUCE_ONLY = 2

Order = Mapping[str, int]
Limits = Mapping[str, int]
Verdict = tuple[str, int, bool]  # reason, money to reserve, passes as a reduction


def up(amount: int, divisor: int) -> int:
    return -(-amount // divisor)


@dataclass(eq=False)
class Scene:
    """One account at one moment; quote currency and account currency are the same."""

    instruments: list[dict[str, int]]
    marks: list[int]
    cells: dict[tuple[int, int], int]  # (strategy, instrument) -> signed lots
    pending: dict[tuple[int, int, int], int]  # (strategy, instrument, side) -> lots
    open_orders: dict[int, int]  # by strategy
    reserved: int
    equity: int
    day_start: int
    peak: int
    free_money: int
    overall: Limits
    markets: list[Limits]
    strategies: list[Limits]
    symbols: list[Limits]
    lots_max: list[tuple[int, int]]  # order, position
    fee_ppm: int
    buffer_ppm: int
    sent: list[int] = field(default_factory=list)  # times of messages
    now_ns: int = 0

    @lru_cache(maxsize=256)  # noqa: B019 - scenes are few and never change
    def position(self, instrument: int, strategy: int | None = None) -> int:
        return sum(
            lots for (s, k), lots in self.cells.items() if k == instrument and strategy in (None, s)
        )

    @lru_cache(maxsize=256)  # noqa: B019
    def waiting(self, instrument: int, side: int, strategy: int | None = None) -> int:
        return sum(
            lots
            for (s, k, at), lots in self.pending.items()
            if (k, at) == (instrument, side) and strategy in (None, s)
        )


def notional(scene: Scene, instrument: int, lots: int, price: int) -> int:
    terms = scene.instruments[instrument]
    return up(lots * price * terms["money_num"], terms["money_den"])


def is_engines(order: Order) -> bool:
    """A stop, a target or a closing order: the order manager's own."""
    return order["role"] in (PROTECT, TARGET, FLATTEN)


def reduces(scene: Scene, order: Order) -> bool:
    """Whether the order fits into what the strategy holds and is not closing already."""
    strategy, instrument, side = order["strategy"], order["instrument"], order["side"]
    left = -side * scene.position(instrument, strategy)
    if not order["flags"] & REDUCE_ONLY:
        left -= scene.waiting(instrument, side, strategy)
    return order["quantity_lots"] <= left


def worst_position(
    scene: Scene, instrument: int, extra_buy: int, extra_sell: int, strategy: int | None = None
) -> int:
    position = scene.position(instrument, strategy)
    long_case = position + scene.waiting(instrument, 1, strategy) + extra_buy
    short_case = -position + scene.waiting(instrument, -1, strategy) + extra_sell
    return max(long_case, short_case)


def with_order(scene: Scene, order: Order, instrument: int, strategy: int | None = None) -> int:
    """Worst-case lots of one instrument once the order is open."""
    lots = order["quantity_lots"] if instrument == order["instrument"] else 0
    buys, sells = (lots, 0) if order["side"] > 0 else (0, lots)
    return worst_position(scene, instrument, buys, sells, strategy)


def exposure(
    scene: Scene, order: Order, market: int | None = None, strategy: int | None = None
) -> int:
    return sum(
        notional(scene, k, with_order(scene, order, k, strategy), scene.marks[k])
        for k, terms in enumerate(scene.instruments)
        if market in (None, terms["market"])
    )


def worst_price(scene: Scene, order: Order) -> int:
    mark = scene.marks[order["instrument"]]
    if order["type"] in (LIMIT, STOP_LIMIT):
        return order["price_ticks"] if order["side"] > 0 else max(order["price_ticks"], mark)
    price = order["trigger_ticks"]
    if order["type"] == TRAILING and price == 0 and order["side"] > 0:
        price = mark + order["trail_ticks"]
    return up(max(price, mark) * (PPM + scene.buffer_ppm), PPM)


def share(amount: int, ppm: int) -> int:
    return NONE if ppm == NONE else max(0, amount) * ppm // PPM


def form_problems(order: Order) -> Iterator[str]:
    kind = order["type"]
    if (
        order["side"] not in (1, -1)
        or not 1 <= kind <= 6
        or not 1 <= order["tif"] <= 5
        or (is_engines(order) and not order["flags"] & REDUCE_ONLY)
    ):
        yield "ORDER_INVALID"
    if order["quantity_lots"] <= 0:
        yield "QUANTITY_ZERO"
    needed = {
        "price_ticks": kind in (LIMIT, STOP_LIMIT),
        "trigger_ticks": kind in (STOP, STOP_LIMIT, TAKE_PROFIT),
        "trail_ticks": kind == TRAILING,
    }
    if any(order[name] < int(must) for name, must in needed.items()):
        yield "PRICE_INVALID"
    if order["stop_loss_ticks"] < 0 or order["take_profit_ticks"] < 0:
        yield "PRICE_INVALID"


def state_problems(scene: Scene, order: Order, is_reduction: bool) -> Iterator[str]:
    market = scene.instruments[order["instrument"]]["market"]
    levels = [
        (scene.overall, None),
        (scene.markets[market], "MARKET_HALTED"),
        (scene.strategies[order["strategy"]], "STRATEGY_HALTED"),
        (scene.symbols[order["instrument"]], "SYMBOL_HALTED"),
    ]
    for limits, name in levels:
        state = limits["trading_state"]
        if state == REDUCING and not is_reduction:
            yield name or "REDUCING"
        if state == HALTED and (not is_reduction or order["role"] == STRATEGYS):
            yield name or "HALTED"


def message_problems(scene: Scene, order: Order) -> Iterator[str]:
    window = scene.overall["message_window_ns"]
    recent = [ts for ts in scene.sent if scene.now_ns - ts < window]
    if not is_engines(order) and len(recent) >= scene.overall["messages_max"]:
        yield "MESSAGE_RATE"


def order_problems(scene: Scene, order: Order, is_reduction: bool) -> Iterator[str]:
    instrument, lots = order["instrument"], order["quantity_lots"]
    terms, mark = scene.instruments[instrument], scene.marks[instrument]
    if lots < terms["quantity_min_lots"]:
        yield "QUANTITY_MIN"
    if lots > terms["quantity_max_lots"]:
        yield "QUANTITY_MAX"
    if not is_reduction:
        allowed = share(mark, scene.overall["price_collar_ppm"])
        for price in (order["price_ticks"], order["trigger_ticks"]):
            if price and abs(price - mark) > allowed:
                yield "PRICE_COLLAR"
    price = order["price_ticks"] or order["trigger_ticks"] or mark
    if notional(scene, instrument, lots, price) < terms["notional_min"]:
        yield "NOTIONAL_MIN"


def loss_problems(scene: Scene) -> Iterator[str]:
    limits = scene.overall
    daily = min(limits["daily_loss_max"], share(scene.day_start, limits["daily_loss_ppm"]))
    if scene.day_start - scene.equity >= daily:
        yield "DAILY_LOSS"
    drawdown = min(limits["drawdown_max"], share(scene.peak, limits["drawdown_ppm"]))
    if scene.peak - scene.equity >= drawdown:
        yield "DRAWDOWN"


def trade_problems(scene: Scene, order: Order) -> Iterator[str]:
    side, reference = order["side"], order["reference_ticks"]
    terms = scene.instruments[order["instrument"]]
    if order["take_profit_ticks"] and (order["take_profit_ticks"] - reference) * side <= 0:
        yield "TAKE_PROFIT_SIDE"
    if order["stop_loss_ticks"] == 0:
        levels = (scene.overall, scene.strategies[order["strategy"]])
        if any(limits["stop_loss_required"] for limits in levels):
            yield "STOP_LOSS_MISSING"
        return
    if (reference - order["stop_loss_ticks"]) * side <= 0:
        yield "STOP_LOSS_SIDE"
    covered = order["quantity_lots"] + side * scene.position(order["instrument"], order["strategy"])
    if covered > terms["quantity_max_lots"]:
        yield "QUANTITY_MAX"
    if covered > 0:
        worth = notional(scene, order["instrument"], covered, order["stop_loss_ticks"])
        if worth < terms["notional_min"]:
            yield "NOTIONAL_MIN"


def levels_of(scene: Scene, order: Order) -> list[Limits]:
    market = scene.instruments[order["instrument"]]["market"]
    return [
        scene.overall,
        scene.markets[market],
        scene.strategies[order["strategy"]],
        scene.symbols[order["instrument"]],
    ]


def size_problems(scene: Scene, order: Order) -> Iterator[str]:
    instrument, lots = order["instrument"], order["quantity_lots"]
    worth = notional(scene, instrument, lots, worst_price(scene, order))
    if any(worth > limits["order_notional_max"] for limits in levels_of(scene, order)):
        yield "NOTIONAL_MAX"
    if worth < scene.overall["order_notional_min"]:
        yield "NOTIONAL_MIN"
    if lots > scene.lots_max[instrument][0]:
        yield "QUANTITY_MAX"
    if sum(scene.open_orders.values()) >= scene.overall["open_orders_max"]:
        yield "OPEN_ORDERS"
    strategy = order["strategy"]
    if scene.open_orders.get(strategy, 0) >= scene.strategies[strategy]["open_orders_max"]:
        yield "STRATEGY_OPEN_ORDERS"


def exposure_problems(scene: Scene, order: Order) -> Iterator[str]:
    instrument, strategy = order["instrument"], order["strategy"]
    market = scene.instruments[instrument]["market"]
    net = with_order(scene, order, instrument)
    own = with_order(scene, order, instrument, strategy)
    overall, of_market, of_strategy, of_symbol = levels_of(scene, order)
    mark = scene.marks[instrument]
    if (
        net > scene.lots_max[instrument][1]
        or any(
            notional(scene, instrument, net, mark) > limits["position_notional_max"]
            for limits in (overall, of_market, of_symbol)
        )
        or notional(scene, instrument, own, mark) > of_strategy["position_notional_max"]
    ):
        yield "POSITION_MAX"
    scopes: list[tuple[str, Limits, int | None, int | None]] = [
        ("GROSS_EXPOSURE", overall, None, None),
        ("MARKET_EXPOSURE", of_market, market, None),
        ("STRATEGY_EXPOSURE", of_strategy, None, strategy),
    ]
    for name, limits, of, by in scopes:
        allowed = min(limits["exposure_max"], share(scene.equity, limits["exposure_ppm"]))
        if allowed != NONE and exposure(scene, order, of, by) > allowed:
            yield name


def money_needed(scene: Scene, order: Order) -> int:
    instrument, side, lots = order["instrument"], order["side"], order["quantity_lots"]
    terms = scene.instruments[instrument]
    worth = notional(scene, instrument, lots, worst_price(scene, order))
    fee = up(worth * scene.fee_ppm, PPM)
    if terms["settlement"] == SPOT:
        return worth + fee
    # Margin is in use for the net position, and reserved up to the worst case of this side.
    net = scene.position(instrument)
    before = max(abs(net), side * net + scene.waiting(instrument, side))
    after = max(before, side * net + scene.waiting(instrument, side) + lots)
    part = up(worth * (after - before), lots)
    return up(part * terms["margin_ppm"], PPM) + fee


def judge(scene: Scene, order: Any) -> Verdict:
    """The first reason against an order ("OK" = none) and what it would reserve."""
    for name in form_problems(order):
        return name, 0, False
    is_reduction = reduces(scene, order)
    if order["flags"] & REDUCE_ONLY and not is_reduction:
        return "NOTHING_TO_REDUCE", 0, False
    for problems in (
        state_problems(scene, order, is_reduction),
        message_problems(scene, order),
        order_problems(scene, order, is_reduction),
    ):
        for name in problems:
            return name, 0, is_reduction
    if is_reduction:
        instrument = order["instrument"]
        grows = with_order(scene, order, instrument) > worst_position(scene, instrument, 0, 0)
        if is_engines(order) or not grows:
            return "OK", 0, True
        rules = [exposure_problems(scene, order)]
    else:
        rules = [
            loss_problems(scene),
            trade_problems(scene, order),
            size_problems(scene, order),
            exposure_problems(scene, order),
        ]
    for problems in rules:
        for name in problems:
            return name, 0, is_reduction
    instrument, strategy = order["instrument"], order["strategy"]
    if scene.instruments[instrument]["settlement"] == SPOT and order["side"] < 0:
        held = scene.position(instrument, strategy) - scene.waiting(instrument, -1, strategy)
        return ("ASSET_SHORT" if order["quantity_lots"] > held else "OK"), 0, is_reduction
    needed = money_needed(scene, order)
    if needed > scene.free_money - scene.reserved:
        return "BUYING_POWER", 0, is_reduction
    return "OK", needed, is_reduction

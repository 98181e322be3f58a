"""A state finds its place under another configuration, by name; what can't is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmats._core import REPORT_DTYPE, Intake, StateImage, open_orders, read_image, seal_image
from mmats.engine.migrate import MigrationError, Names, remap
from mmats.model import TradeSignal
from tests.fakes.backtests import Script, instrument
from tests.fakes.live import TICKS, at, bar, wire, wire_port

SYMBOLS = ("AAABBB", "CCCBBB", "DDDBBB")
STRATEGIES = ("one", "two", "three")


class Run:
    """A pipeline at a port, its names and its image."""

    def __init__(
        self, strategies: Sequence[str], symbols: Sequence[str], buys: Any = (), **changes: Any
    ) -> None:
        self.names_of_strategies, self.symbols = tuple(strategies), tuple(symbols)
        scripts = [
            Script(each=lambda _, data, name=name: dict(buys).get((name, data.symbol)))
            for name in strategies
        ]
        self.made = wire_port(scripts, symbols, strategies, **changes)
        self.names = Names.of(self.made.catalogue, strategies)
        self.image = StateImage(self.made.pipeline, self.made.venue)

    def play(self, minute: int) -> None:
        taker = Intake(self.made.pipeline)
        for index in range(len(self.symbols)):
            taker.on_events(bar(minute, TICKS + 100 * index, index))

    def fill(self, share: int = 1) -> None:
        """Fill a part of every order that was sent."""
        for number, request in enumerate(self.made.venue.take_requests(100)):
            report = np.zeros(1, REPORT_DTYPE)
            lots = int(request["quantity_lots"]) // share
            report["order_id"], report["kind"] = request["order_id"], 4
            report["trade_id"], report["last_lots"], report["cum_lots"] = 1 + number, lots, lots
            report["leaves_lots"] = int(request["quantity_lots"]) - lots
            report["last_ticks"] = TICKS + 100 * int(request["instrument"])
            assert self.made.venue.give_reports(report) == 1
        Intake(self.made.pipeline).on_reports(at(1))

    def take(self, other: "Run") -> None:
        """Take over another run's state."""
        base = self.image.to_bytes()
        self.image.restore(remap(other.image.to_bytes(), other.names, self.names, base))

    def cell(self, strategy: str, symbol: str) -> Any:
        return self.made.ledger.cell(
            self.names_of_strategies.index(strategy), self.symbols.index(symbol)
        )


def held(*cells: tuple[str, str], **changes: Any) -> Run:
    """A run in which those cells hold one lot each, and nothing is open."""
    buys = {(name, symbol): TradeSignal("BUY", symbol, 1.0) for name, symbol in cells}
    run = Run(STRATEGIES, SYMBOLS, buys, **changes)
    run.play(1)
    run.fill()
    return run


def problems(run: Run, other: Run) -> tuple[str, ...]:
    with pytest.raises(MigrationError) as caught:
        other.take(run)
    assert caught.value.hint
    return caught.value.problems


def test_reordered_and_added_names_find_their_places() -> None:
    run = held(("one", "CCCBBB"), ("three", "AAABBB"))
    run.made.gate.set_limits("strategy", 2, trading_state=3)
    other = Run(("four", "three", "one", "two"), ("CCCBBB", "EEEBBB", "DDDBBB", "AAABBB"))
    other.take(run)
    for strategy in STRATEGIES:
        for symbol in SYMBOLS:
            assert other.cell(strategy, symbol) == run.cell(strategy, symbol)
    assert other.cell("one", "CCCBBB").lots == other.cell("three", "AAABBB").lots == 1000
    assert other.made.ledger.holding(0) == run.made.ledger.holding(1)
    assert other.made.ledger.holding(1).mark_ticks == 0
    assert other.made.ledger.account_equity == run.made.ledger.account_equity
    assert other.made.ledger.balanced()
    states = [other.made.gate.limits("strategy", k)["trading_state"] for k in range(4)]
    assert states == [1, 3, 1, 1]
    head = read_image(other.image.to_bytes())[0]["head"]
    assert head["order_count"] == 2
    assert (head["trade_count"], head["now_ns"]) == (2, at(1))
    assert other.made.journal.state_hash == run.made.journal.state_hash


def test_limits_are_those_of_the_new_configuration() -> None:
    run = held()
    run.made.gate.set_limits("global", daily_loss_max=5, trading_state=2)
    run.made.gate.set_limits("market", 0, exposure_max=7)
    other = Run(STRATEGIES, SYMBOLS)
    other.made.gate.set_limits("global", daily_loss_max=9)
    other.take(run)
    assert other.made.gate.limits("global")["daily_loss_max"] == 9
    assert other.made.gate.limits("global")["trading_state"] == 2
    assert other.made.gate.limits("market", 0)["exposure_max"] == 2**63 - 1


def test_a_strategy_runs_only_where_it_is_enabled_in_both() -> None:
    run, other = held(), Run(STRATEGIES[::-1], SYMBOLS)
    image, base = read_image(run.image.to_bytes()), read_image(other.image.to_bytes())
    image["switches"]["enabled"][0] = [0, 1, 1]
    base["switches"]["enabled"][0] = [0, 1, 1]
    out = remap(seal_image(image), run.names, other.names, seal_image(base))
    assert read_image(out)["switches"]["enabled"][0].tolist() == [0, 1, 0]


def test_a_position_without_a_place_is_refused() -> None:
    run = held(("one", "AAABBB"))
    told = "strategy one holds 1000 lots of AAABBB.SIM, and the "
    assert problems(run, Run(("two", "three"), SYMBOLS)) == (f"{told}strategy is gone",)
    assert problems(run, Run(STRATEGIES, SYMBOLS[1:])) == (f"{told}instrument is gone",)
    both = problems(run, Run(("two",), SYMBOLS[1:]))
    assert both == (f"{told}strategy is gone", f"{told}instrument is gone")


def test_an_open_order_without_a_place_is_refused() -> None:
    signal = TradeSignal("BUY", "AAABBB", 1.0)
    run = Run(STRATEGIES, SYMBOLS, {("one", "AAABBB"): signal})
    run.play(1)
    told = "order 1 of strategy one in AAABBB.SIM is open, and the "
    assert problems(run, Run(("two", "three"), SYMBOLS)) == (f"{told}strategy is gone",)
    assert problems(run, Run(STRATEGIES, SYMBOLS[1:])) == (f"{told}instrument is gone",)
    other = Run(STRATEGIES[:1], SYMBOLS[:1])
    other.take(run)
    assert len(open_orders(other.made.pipeline.orders)) == 1


def test_money_without_a_place_is_refused() -> None:
    def account(*balances: str) -> dict[str, Any]:
        pegs = {money.split()[1]: "BBB" for money in balances[1:]}
        return {"account": {"currency": "BBB", "balances": list(balances), "pegs": pegs}}

    run = held(**account("10000 BBB", "3 EEE"))
    assert problems(run, Run(STRATEGIES, SYMBOLS, **account("10000 BBB"))) == (
        "the account holds 3.00000000 EEE, and it is gone",
    )
    other = Run(STRATEGIES, SYMBOLS, **account("1 BBB", "5 YYY", "7 EEE"))
    other.take(run)
    cash = {name: other.made.ledger.cash(k) for k, name in enumerate(other.names.currencies)}
    assert (cash["BBB"], cash["EEE"], cash["YYY"]) == (10**12, 3 * 10**8, 5 * 10**8)


def test_other_terms_are_refused_where_they_would_change_a_position() -> None:
    table = {"instruments": [instrument(name, tick_size="0.1") for name in SYMBOLS]}
    run = held(("one", "AAABBB"))
    (told,) = problems(run, Run(STRATEGIES, SYMBOLS, **table))
    assert told == (
        "strategy one holds 1000 lots of AAABBB.SIM, and the instrument was AAA/BBB margin, "
        "tick 0.01, lot 0.001 in market test"
    )
    flat = Run(STRATEGIES, SYMBOLS)
    flat.play(1)
    other = Run(STRATEGIES, SYMBOLS, **table)
    other.take(flat)
    assert other.made.ledger.holding(0).mark_ticks == 0


def test_terms_are_the_same_however_they_are_written() -> None:
    def terms(**changes: Any) -> tuple[str, ...]:
        return Run(STRATEGIES, SYMBOLS[:1], instruments=[instrument(**changes)]).names.terms

    assert terms(tick_size="0.010") == terms(tick_size="0.01") != terms(tick_size="0.1")
    assert terms(lot_size="1") != terms(lot_size="0.001")


def test_a_halted_market_and_its_day_move_with_its_name() -> None:
    def table(*markets: str) -> dict[str, Any]:
        pairs = zip(SYMBOLS, markets, strict=True)
        return {"instruments": [instrument(name, market=market) for name, market in pairs]}

    run = held(("one", "AAABBB"), **table("red", "blue", "blue"))
    run.made.gate.set_limits("market", 0, trading_state=3)
    other = Run(STRATEGIES, SYMBOLS[::-1],
                instruments=table("red", "blue", "blue")["instruments"][::-1])  # fmt: skip
    other.take(run)
    assert other.names.markets == ("blue", "red")
    assert [other.made.gate.limits("market", k)["trading_state"] for k in (0, 1)] == [1, 3]
    moved = Run(STRATEGIES, SYMBOLS, **table("blue", "blue", "blue"))
    (told,) = problems(run, moved)
    assert told.endswith(
        "and the instrument was AAA/BBB margin, tick 0.01, lot 0.001 in market red"
    )


def test_results_of_what_is_gone_are_taken_out_of_the_day() -> None:
    run = held(("one", "AAABBB"), ("one", "CCCBBB"))
    image = read_image(run.image.to_bytes())
    cells = image["cells"][0]
    cells["lots"] = cells["cost_ticklots"] = 0
    image["holdings"]["lots"] = image["holdings"]["cost_ticklots"] = image["holdings"]["value"] = 0
    cells["realized"][0] = [700, 30, 0]
    image["strategy_scopes"]["day_start"][0] = [720, 0, 0]
    image["market_scopes"]["day_start"][0] = 725
    other = Run(("two", "one"), SYMBOLS[1:])
    out = read_image(
        remap(seal_image(image), run.names, other.names, other.image.to_bytes())
    )[0]  # fmt: skip
    assert out["strategy_scopes"]["day_start"].tolist() == [0, 20]
    assert out["market_scopes"]["day_start"].tolist() == [25]
    assert out["cells"]["realized"].tolist() == [[0, 0], [30, 0]]


def test_an_ended_order_of_what_is_gone_can_not_be_named() -> None:
    buys = {("one", "AAABBB"): TradeSignal("BUY", "AAABBB", 1.0)}
    run = Run(STRATEGIES, SYMBOLS, buys)
    run.play(1)
    ids = run.made.venue.take_requests(9)["order_id"]
    report = np.zeros(1, REPORT_DTYPE)
    report["order_id"], report["kind"] = ids[0], 2
    run.made.venue.give_reports(report)
    Intake(run.made.pipeline).on_reports(at(2))
    other = Run(STRATEGIES[1:], SYMBOLS[1:])
    other.take(run)
    assert other.made.venue.give_reports(report) == 0
    other.play(3)
    head = read_image(other.image.to_bytes())[0]["head"]
    assert (head["order_count"], head["ended_count"], head["order_sequence"]) == (1, 1, 2)


def test_another_account_currency_or_kind_of_venue_is_refused() -> None:
    run, other = held(), Run(STRATEGIES, SYMBOLS)
    names = Names.of(other.made.catalogue, STRATEGIES)
    swapped = Names(**{**names.__dict__, "currencies": names.currencies[::-1]})
    with pytest.raises(MigrationError, match="account currency is DDD, not BBB"):
        remap(run.image.to_bytes(), swapped, names, other.image.to_bytes())
    simulated = wire([Script()] * 3, SYMBOLS)
    base = StateImage(simulated.pipeline).to_bytes()
    with pytest.raises(MigrationError, match="went to a venue process"):
        remap(run.image.to_bytes(), run.names, run.names, base)


def test_names_that_are_not_those_of_the_image_are_refused() -> None:
    run = held()
    short = Names(**{**run.names.__dict__, "strategies": ("one",)})
    with pytest.raises(MigrationError, match="names of the last run: strategy_count is 3"):
        remap(run.image.to_bytes(), short, run.names, run.image.to_bytes())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.permutations([*STRATEGIES, "four"]),
    st.permutations([*SYMBOLS, "EEEBBB"]),
    st.sets(st.tuples(st.sampled_from(STRATEGIES), st.sampled_from(SYMBOLS))),
    st.integers(1, 2),
)
def test_there_and_back_is_the_same(strategies: Any, symbols: Any, cells: Any, share: int) -> None:
    buys = {
        (name, symbol): TradeSignal("BUY", symbol, 1.0, stop_loss=50.0) for name, symbol in cells
    }
    run = Run(STRATEGIES, SYMBOLS, buys)
    run.play(1)
    run.fill(share)
    other = Run(strategies, symbols)
    other.take(run)
    again = Run(STRATEGIES, SYMBOLS)
    again.take(other)
    assert again.image.to_bytes() == run.image.to_bytes()

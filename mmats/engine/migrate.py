"""A state image under another configuration: everything finds its place again by its name.

Strategies, instruments, markets and currencies may be added, removed and reordered between two
runs. What is removed must be empty: without a position, an open order or money. Limits are those of
the new configuration; a trading state that is not ACTIVE survives, and a strategy runs only where
it is enabled in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import (
    ImageError,
    OrderRole,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
    image_dtype,
    read_image,
    seal_image,
)
from mmats.engine.assembly import Catalogue
from mmats.model.errors import MmatsError
from mmats.model.instrument import Instrument

Image = NDArray[Any]

CASH, DUST = 1, 2  # accounts of a currency that hold something
SLOT_BITS = 12
CLOSING_PENDING = 1
_DONE = (
    OrderState.STATE_DENIED,
    OrderState.STATE_FILLED,
    OrderState.STATE_CANCELED,
    OrderState.STATE_EXPIRED,
    OrderState.STATE_REJECTED,
)


class MigrationError(MmatsError):
    """A state does not fit a configuration; `problems` names everything that stands in the way."""

    def __init__(self, problems: Sequence[str], hint: str) -> None:
        super().__init__("; ".join(problems), "state of the last run", hint)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Names:
    """What the indices of an image stand for, in their order; strings only, so it can be kept."""

    strategies: tuple[str, ...]
    instruments: tuple[str, ...]
    currencies: tuple[str, ...]
    """The first is the account's."""
    markets: tuple[str, ...]
    market_of: tuple[str, ...]
    """By instrument."""
    terms: tuple[str, ...]
    """By instrument: what gives its ticks and lots a meaning."""

    @classmethod
    def of(cls, catalogue: Catalogue, strategies: Sequence[str]) -> "Names":
        """Collect the names of an assembled pipeline."""
        instruments = catalogue.instruments
        return cls(
            strategies=tuple(strategies),
            instruments=tuple(instrument.id for instrument in instruments),
            currencies=catalogue.currencies,
            markets=catalogue.markets,
            market_of=tuple(instrument.market for instrument in instruments),
            terms=tuple(_terms(instrument) for instrument in instruments),
        )


def _terms(instrument: Instrument) -> str:
    """What gives ticks and lots a meaning, the same however the numbers are written."""
    return (
        f"{instrument.base}/{instrument.quote} {instrument.settlement.value}, "
        f"tick {instrument.tick_size.normalize():f}, lot {instrument.lot_size.normalize():f}"
    ) + (f" times {instrument.multiplier.normalize():f}" if instrument.multiplier != 1 else "")


@dataclass(frozen=True)
class _Places:
    """Where the things of one kind come from: new index -> old index, -1 = they are new."""

    source: NDArray[np.int64]
    gone: tuple[int, ...]
    """Old indices that have no place any more."""

    @classmethod
    def of(cls, before: Sequence[str], after: Sequence[str]) -> "_Places":
        old = {name: index for index, name in enumerate(before)}
        source = np.array([old.get(name, -1) for name in after], dtype=np.int64)
        return cls(source, tuple(k for name, k in old.items() if name not in after))

    @property
    def kept(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """New and old indices of what exists in both."""
        new = np.flatnonzero(self.source >= 0)
        return new, self.source[new]

    def renumber(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Old indices as new ones; -1 = gone."""
        table = np.full(max([-1, *self.gone, *self.source]) + 1, -1, dtype=np.int64)
        new, old = self.kept
        table[old] = new
        out: NDArray[np.int64] = table[indices]
        return out


def _copy(target: Image, source: Image, *places: _Places) -> None:
    """Write every kept element to its new place, along all axes."""
    kept = [place.kept for place in places]
    target[np.ix_(*(new for new, _ in kept))] = source[np.ix_(*(old for _, old in kept))]


def remap(image: bytes, before: Names, after: Names, base: bytes) -> bytes:
    """Return the image of one configuration as one of another.

    Parameters
    ----------
    image
        State of the last run.
    before, after
        Names of the configuration of the last run, and of the new one.
    base
        Image of a pipeline that has just been assembled from the new configuration: its limits are
        taken, and its deposits in currencies that are new.

    Raises
    ------
    MigrationError
        Something that is gone holds a position, an open order or money; an instrument with a
        position has other terms or another market; the account currency or the kind of venue
        differs.
    ImageError
        One of the images is none, damaged, or of another version.
    """
    old, fresh = read_image(image)[0], read_image(base)[0]
    if seal_image(np.frombuffer(image, np.uint8)) != image:
        raise ImageError("has another checksum", "state of the last run")
    _check_names(old["head"], before, "the last run")
    _check_names(fresh["head"], after, "the new configuration")
    move = _Move.of(before, after)
    _check_kind(old, fresh, before, after)
    problems = [*_held(old, before, after, move), *_owed(old, before, move)]
    if problems:
        raise MigrationError(
            problems,
            "put it back into the configuration, or start with the old one and flatten first",
        )
    head = fresh["head"].copy()
    head["order_capacity"] = old["head"]["order_capacity"]
    out = np.zeros(1, image_dtype(head))
    new = out[0]
    for name in new.dtype.names or ():
        if name != "slots":
            new[name] = fresh[name]
    _move_books(old, new, before, after, move)
    _move_gate(old, new, before, after, move)
    _move_orders(old, new, move)
    _move_head(old, new)
    return seal_image(out)


@dataclass(frozen=True)
class _Move:
    strategies: _Places
    instruments: _Places
    currencies: _Places
    markets: _Places

    @classmethod
    def of(cls, before: Names, after: Names) -> "_Move":
        return cls(
            _Places.of(before.strategies, after.strategies),
            _Places.of(before.instruments, after.instruments),
            _Places.of(before.currencies, after.currencies),
            _Places.of(before.markets, after.markets),
        )

    @property
    def cells(self) -> tuple[_Places, _Places]:
        return self.strategies, self.instruments


# -- what stands in the way ------------------------------------------------------------------------


def _check_names(head: Any, names: Names, whose: str) -> None:
    counts = (
        ("strategy_count", names.strategies),
        ("instrument_count", names.instruments),
        ("currency_count", names.currencies),
        ("market_count", names.markets),
    )
    found = [
        f"names of {whose}: {field} is {head[field]}, names are {given}"
        for field, given in counts
        if head[field] != len(given) or len(set(given)) != len(given)
    ]
    if any(len(given) != len(names.instruments) for given in (names.market_of, names.terms)):
        found.append(f"names of {whose}: an instrument lacks its market or its terms")
    if not set(names.market_of) <= set(names.markets):
        found.append(f"names of {whose}: an instrument is of a market that is not there")
    if found:
        raise MigrationError(found, "the state is damaged: start from a backup, or a new profile")


def _check_kind(old: Any, fresh: Any, before: Names, after: Names) -> None:
    """Raise for what no flattening can help against."""
    if before.currencies[0] != after.currencies[0]:
        raise MigrationError(
            [f"its account currency is {before.currencies[0]}, not {after.currencies[0]}"],
            "start a new profile for another account currency",
        )
    if old["head"]["has_port"] != fresh["head"]["has_port"]:
        kinds = ("a simulated venue", "a venue process")
        raise MigrationError(
            [f"its orders went to {kinds[int(old['head']['has_port'])]}"],
            "start a new profile for another kind of venue",
        )


def _held(old: Any, before: Names, after: Names, move: _Move) -> list[str]:
    """Positions that have no place, or a place where they would mean something else."""
    problems = []
    changed = _changed(before, after)
    for strategy, instrument in np.argwhere(old["cells"]["lots"] != 0):
        lots = old["cells"]["lots"][strategy, instrument]
        symbol = before.instruments[instrument]
        what = f"strategy {before.strategies[strategy]} holds {lots} lots of {symbol}"
        if strategy in move.strategies.gone:
            problems.append(f"{what}, and the strategy is gone")
        if instrument in move.instruments.gone:
            problems.append(f"{what}, and the instrument is gone")
        elif symbol in changed:
            problems.append(f"{what}, and the instrument was {changed[symbol]}")
    orders = _orders(old)
    for order in orders[~np.isin(orders["state"], _DONE)]:
        symbol = before.instruments[order["instrument"]]
        what = (
            f"order {order['order_id'] >> SLOT_BITS} of strategy "
            f"{before.strategies[order['strategy']]} in {symbol} is open"
        )
        if order["strategy"] in move.strategies.gone:
            problems.append(f"{what}, and the strategy is gone")
        if order["instrument"] in move.instruments.gone:
            problems.append(f"{what}, and the instrument is gone")
        elif symbol in changed:
            problems.append(f"{what}, and the instrument was {changed[symbol]}")
    return problems


def _changed(before: Names, after: Names) -> dict[str, str]:
    """What instruments with other terms or another market were before, by their id."""
    now = dict(zip(after.instruments, zip(after.terms, after.market_of, strict=True), strict=True))
    rows = zip(before.instruments, before.terms, before.market_of, strict=True)
    return {
        name: f"{terms} in market {market}"
        for name, terms, market in rows
        if name in now and now[name] != (terms, market)
    }


def _owed(old: Any, before: Names, move: _Move) -> list[str]:
    """Money in currencies that have no place."""
    amounts = {k: old["balances"][k, [CASH, DUST]].tolist() for k in move.currencies.gone}
    return [
        f"the account holds {sum(amount) / 1e8:.8f} {before.currencies[k]}, and it is gone"
        for k, amount in amounts.items()
        if any(amount)
    ]


# -- moving ----------------------------------------------------------------------------------------


def _move_books(old: Any, new: Any, before: Names, after: Names, move: _Move) -> None:
    """Balances, positions, marks and what they have earned."""
    for name in ("balances", "dust_costs"):
        _copy(new[name], old[name], move.currencies)
    _copy(new["holdings"], old["holdings"], move.instruments)
    for name in ("cells", "open_results", "brackets", "closings", "unknown_orders", "open_by_cell"):
        _copy(new[name], old[name], *move.cells)
    _copy(new["open"], old["open"], move.instruments)
    enabled = new["switches"]["enabled"].copy()
    for name in ("tracks", "switches", "open_orders"):
        _copy(new[name], old[name], move.strategies)
    new["switches"]["enabled"] &= enabled
    terms = dict(zip(before.instruments, before.terms, strict=True))
    for k, name in enumerate(after.instruments):
        if terms.get(name, after.terms[k]) != after.terms[k]:  # flat: its ticks mean nothing now
            new["holdings"][k] = 0
            for field in ("lots", "cost_ticklots", "realized_ticklots", "realized_quote"):
                new["cells"][field][:, k] = 0
            new["cells"]["carry_quote"][:, k] = 0


def _move_gate(old: Any, new: Any, before: Names, after: Names, move: _Move) -> None:
    """Trading states that restrict, and where days and peaks are measured from."""
    new["overall"]["trading_state"] = max(
        old["overall"]["trading_state"], new["overall"]["trading_state"]
    )
    for name, places in (
        ("markets", move.markets),
        ("strategies", move.strategies),
        ("symbols", move.instruments),
    ):
        kept_new, kept_old = places.kept
        states = new[name]["trading_state"]
        states[kept_new] = np.maximum(states[kept_new], old[name]["trading_state"][kept_old])
    for name, places, earned in (
        ("market_scopes", move.markets, (_by_market(old, before), _by_market(new, after))),
        ("strategy_scopes", move.strategies, (_earned(old).sum(axis=1), _earned(new).sum(axis=1))),
    ):
        _copy(new[name], old[name], places)
        kept_new, kept_old = places.kept
        shift = earned[1][kept_new] - earned[0][kept_old]  # results that are counted no more
        for field in ("day_start", "peak"):
            new[name][field][kept_new] += shift


def _earned(image: Any) -> NDArray[np.int64]:
    """Result of each cell in account currency, without open results."""
    cells = image["cells"]
    out: NDArray[np.int64] = cells["realized"] - cells["fees"] + cells["carry"]
    return out


def _by_market(image: Any, names: Names) -> NDArray[np.int64]:
    by_instrument = _earned(image).sum(axis=0)
    out = np.zeros(len(names.markets), dtype=np.int64)
    np.add.at(out, [names.markets.index(market) for market in names.market_of], by_instrument)
    return out


def _orders(image: Any) -> Image:
    """Return the order slots that were ever used, in their order; a copy."""
    rows: Image = image["slots"]["orders"].reshape(-1)[: image["head"]["order_count"]]
    return rows


def _move_orders(old: Any, new: Any, move: _Move) -> None:
    """Slots keep their numbers. An ended order of what is gone leaves one that nobody can name."""
    head = old["head"]
    new["slots"] = old["slots"]
    orders = _orders(old).copy()
    strategies = move.strategies.renumber(orders["strategy"])
    instruments = move.instruments.renumber(orders["instrument"])
    gone = np.flatnonzero((strategies < 0) | (instruments < 0))
    orders["strategy"], orders["instrument"] = strategies, instruments
    for number, slot in enumerate(gone.tolist(), start=1):
        orders[slot] = 0
        orders["order_id"][slot] = ((int(head["order_sequence"]) + number) << SLOT_BITS) | slot
        orders["side"][slot], orders["type"][slot] = Side.SIDE_BUY, OrderType.ORDER_MARKET
        orders["tif"][slot], orders["role"][slot] = TimeInForce.TIF_GTC, OrderRole.ROLE_ENTRY
        orders["state"][slot] = OrderState.STATE_CANCELED
    for slot in range(len(orders)):
        new["slots"]["orders"][slot // 64, slot % 64] = orders[slot]
    new["head"]["order_sequence"] = head["order_sequence"] + len(gone)
    for name in ("ended_slots", "sent_ns", "trades_seen"):
        new[name] = old[name]
    if head["has_port"]:
        seen = np.flatnonzero(old["trades_seen"]["trade_id"] != 0)
        places = move.instruments.renumber(old["trades_seen"]["instrument"][seen])
        new["trades_seen"]["instrument"][seen] = places
        new["trades_seen"][seen[places < 0]] = 0


def _move_head(old: Any, new: Any) -> None:
    """Counts that a configuration does not decide."""
    decided = {
        "magic",
        "version",
        "terms_hash",
        "currency_count",
        "instrument_count",
        "strategy_count",
        "market_count",
        "has_port",
        "watches_strategies",
        "order_sequence",
    }
    for name in old["head"].dtype.names or ():
        if name not in decided:
            new["head"][name] = old["head"][name]
    new["head"]["pending_closing_count"] = np.count_nonzero(
        new["closings"]["state"] == CLOSING_PENDING
    )

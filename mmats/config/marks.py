"""Prices outside of a run: what one currency or asset is worth in another, since when, says who."""

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib import resources

from mmats.config.check import find_conversions


@dataclass(frozen=True, slots=True)
class Mark:
    """The price of a pair: units of `quote` for one `base`."""

    id: str  # BTCUSDT.BINANCE, or BTCUSDT where the venue does not matter
    base: str
    quote: str
    price: Decimal
    as_of: str  # ISO date or time in UTC; empty where it was given for the occasion
    source: str


@dataclass(frozen=True, slots=True)
class Price:
    """A price and the marks that it was made of, in the order of the calculation."""

    value: Fraction
    marks: tuple[Mark, ...]

    @property
    def as_of(self) -> str:
        """Date of the oldest mark; empty where none has a date."""
        return min((mark.as_of for mark in self.marks if mark.as_of), default="")

    @property
    def source(self) -> str:
        """Where it comes from: pair and source of each mark."""
        return "; ".join(f"{mark.id}: {mark.source}" for mark in self.marks) or "one to one"


class Marks:
    """Marks by preference: a later tier is only asked where the earlier ones know no way."""

    def __init__(self, tiers: Sequence[Sequence[Mark]], pegs: Mapping[str, str]) -> None:
        """`pegs` maps a currency to the one that it is worth 1 of."""
        self._tiers = tiers
        self._pegs = dict(pegs)

    def of(self, id: str, symbol: str, base: str, quote: str) -> Price | None:
        """Price of an instrument: its own mark, else one made of others; None = unknown."""
        for tier in self._tiers:
            for name in (id, symbol):
                for mark in tier:
                    if (mark.id, mark.base, mark.quote) == (name, base, quote):
                        return Price(Fraction(mark.price), (mark,))
        return self.find(base, quote)

    def find(self, base: str, quote: str) -> Price | None:
        """Units of `quote` for one `base` by the shortest way over the marks; None = no way."""
        known: list[Mark] = []
        for tier in self._tiers:
            known += tier
            way = find_conversions(quote, self._pegs, known).get(base)
            if way is None:
                continue
            value, used = Fraction(1), []
            for step in way:
                if not step.instrument:
                    continue
                mark = next(mark for mark in known if mark.id == step.instrument)
                value = (
                    value / Fraction(mark.price) if step.divide else value * Fraction(mark.price)
                )
                used.append(mark)
            return Price(value, tuple(used))
        return None


@functools.cache
def reference_marks() -> tuple[Mark, ...]:
    """Return the dated prices of `reference.toml`."""
    text = resources.files("mmats.config").joinpath("reference.toml").read_text("utf-8")
    marks = []
    for table in tomllib.loads(text)["references"]:
        for pair, price in table["prices"].items():
            base, _, quote = pair.partition("/")
            marks.append(
                Mark(base + quote, base, quote, Decimal(price), table["date"], table["source"])
            )
    return tuple(marks)

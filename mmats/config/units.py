"""Values with their unit, parsed exactly from text: limits and costs never are floats."""

import re
import reprlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal, Self

PPM = 1_000_000
TICKS_PER_PIP = 10  # forex venues quote tenths of a pip; their tick is that tenth

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
    "w": 7 * 86_400 * 10**9,
}
# With 27 digits at most, no product with a power of ten is rounded (Decimal keeps 28).
_NUMBER = r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?"
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_YEARLY = re.compile(rf"({_NUMBER})\s*%\s*/\s*year")
_MONEY = re.compile(rf"({_NUMBER})\s+([A-Z][A-Z0-9]{{1,9}})")
_QUOTE_AMOUNT = re.compile(rf"({_NUMBER})\s+quote")
_DURATION = re.compile(r"([0-9]{1,19})\s*(ns|us|ms|s|m|h|d|w)")
_SPEED = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)x")
_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{0,9})\s*(ns|us|ms|s|m|h|d|w)")
_STEPS = re.compile(rf"({_NUMBER})\s+(ticks?|pips?)")
_VOLUME = re.compile(rf"volume\s+({_NUMBER})")
DURATION_NS_MAX = 36_525 * 86_400 * 10**9  # a century: added to any date, it stays in 64 bits
MONEY_MAX = 10**10
PPM_MAX = 10**12  # 100,000,000 %
INSTANTS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """Return a value as a message can tell it: short, on one line, whatever it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return "a number of thousands of digits"


def parse_text(value: object, expected: str) -> str:
    """Return `value` if it is text, else say what was expected; raise ValueError."""
    if isinstance(value, str):
        return value.strip()
    raise ValueError(f"expected {expected} in quotes, found {shown(value)}")


def parse_ppm(number: str, expected: str) -> int:
    """Return a percentage as millionths; raise ValueError where it is finer than one of them."""
    ppm = Decimal(number) * (PPM // 100)
    if ppm != int(ppm):
        raise ValueError(f"{number}% is finer than 0.0001%; expected {expected}")
    if abs(ppm) > PPM_MAX:
        raise ValueError(f"{number}% is more than {ppm_text(PPM_MAX)}")
    return int(ppm)


def ppm_text(ppm: int) -> str:
    """Return millionths as a percentage: 20000 -> `2%`."""
    return f"{plain(Decimal(ppm) / (PPM // 100))}%"


def plain(number: Decimal) -> str:
    """Return a decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(number: str) -> Decimal:
    """Return a decimal in its shortest form, so that "5.0" and "5" are the same configuration."""
    return Decimal(plain(Decimal(number)))


def _refuse(value: object, expected: str) -> ValueError:
    return ValueError(f"expected {expected}, found {shown(value)}")


@dataclass(frozen=True, slots=True)
class Percent:
    """A share, zero or more: `"2%"`."""

    ppm: int
    expected = 'a percentage such as "2%"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"2%"`; raise ValueError that says what was expected."""
        match = _PERCENT.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        ppm = parse_ppm(match[1], cls.expected)
        if ppm < 0:
            raise ValueError(f"must not be negative, found {shown(value)}")
        return cls(ppm)

    def __str__(self) -> str:
        return ppm_text(self.ppm)


@dataclass(frozen=True, slots=True)
class SignedPercent:
    """A share that may be negative, such as a maker's rebate: `"-0.01%"`."""

    ppm: int
    expected = 'a percentage such as "0.1%" (negative is a rebate)'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"-0.01%"`; raise ValueError that says what was expected."""
        match = _PERCENT.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        return cls(parse_ppm(match[1], cls.expected))

    def __str__(self) -> str:
        return ppm_text(self.ppm)


@dataclass(frozen=True, slots=True)
class YearlyRate:
    """What holding a margin position earns (+) or pays (-) in a year: `"-1.5%/year"`."""

    ppm: int
    expected = 'a yearly rate such as "-1.5%/year" (negative is paid)'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"-1.5%/year"`; raise ValueError that says what was expected."""
        match = _YEARLY.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        return cls(parse_ppm(match[1], cls.expected))

    def __str__(self) -> str:
        return f"{ppm_text(self.ppm)}/year"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency, zero or more: `"50 EUR"`."""

    amount: Decimal
    currency: str
    expected = 'an amount with its currency such as "50 EUR"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"50 EUR"`; raise ValueError that says what was expected."""
        match = _MONEY.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        return cls(_parse_amount(match[1], value, cls.expected), match[2])

    @property
    def units(self) -> int:
        """The amount in 1e-8 units of its currency."""
        return int(self.amount * 10**8)

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as a share of equity or as money; exactly one of both is set."""

    ppm: int | None
    money: Money | None
    expected = 'a share of equity such as "5%" or an amount such as "10 EUR"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"5%"` or `"10 EUR"`; raise ValueError that says what was expected."""
        text = parse_text(value, cls.expected)
        if _PERCENT.fullmatch(text):
            return cls(Percent.parse(text).ppm, None)
        if _MONEY.fullmatch(text):
            return cls(None, Money.parse(text))
        raise _refuse(value, cls.expected)

    def __str__(self) -> str:
        return str(self.money) if self.ppm is None else ppm_text(self.ppm)


@dataclass(frozen=True, slots=True)
class QuoteAmount:
    """An amount in the quote currency of whatever is traded: `"0.35 quote"`."""

    amount: Decimal
    expected = 'an amount of the quote currency such as "0.35 quote"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"0.35 quote"`; raise ValueError that says what was expected."""
        match = _QUOTE_AMOUNT.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        return cls(_parse_amount(match[1], value, cls.expected))

    @property
    def units(self) -> int:
        """The amount in 1e-8 units of the quote currency."""
        return int(self.amount * 10**8)

    def __str__(self) -> str:
        return f"{plain(self.amount)} quote"


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time: `"15m"`, `"250ms"`."""

    ns: int
    expected = 'a duration such as "250ms", "15m", "1h" or "1d"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"15m"`; raise ValueError that says what was expected."""
        match = _DURATION.fullmatch(parse_text(value, cls.expected))
        if match is None:
            raise _refuse(value, cls.expected)
        return cls(_parse_span(int(match[1]), match[2], value))

    def __str__(self) -> str:
        if self.ns == 0:
            return "0s"
        for unit in ("w", "d", "h", "m", "s", "ms", "us"):
            if self.ns % _NANOSECONDS[unit] == 0:
                return f"{self.ns // _NANOSECONDS[unit]}{unit}"
        return f"{self.ns}ns"


@dataclass(frozen=True, slots=True)
class Rate:
    """A count per span of time: `"10/s"`, `"100/5m"`."""

    count: int
    interval_ns: int
    expected = 'a rate such as "10/s" or "100/5m"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"10/s"`; raise ValueError that says what was expected."""
        match = _RATE.fullmatch(parse_text(value, cls.expected))
        if match is None or int(match[1]) == 0 or int(match[2] or 1) == 0:
            raise _refuse(value, cls.expected)
        return cls(int(match[1]), _parse_span(int(match[2] or 1), match[3], value))

    def __str__(self) -> str:
        span = str(Duration(self.interval_ns))
        return f"{self.count}/{span[1:] if span[1:].isalpha() and span[0] == '1' else span}"


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast stored data is played: a multiple of real time in millionths, 0 = no pause."""

    ppm: int
    expected = 'a speed such as "1x", "60x" or "max"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"60x"`; raise ValueError that says what was expected."""
        text = parse_text(value, cls.expected)
        if text == "max":
            return cls(0)
        match = _SPEED.fullmatch(text)
        ppm = int(exact(match[1]) * PPM) if match else 0
        if not 0 < ppm <= 1_000_000 * PPM:
            raise _refuse(value, cls.expected)
        return cls(ppm)

    def __str__(self) -> str:
        return f"{plain(Decimal(self.ppm) / PPM)}x" if self.ppm else "max"


@dataclass(frozen=True, slots=True)
class Spread:
    """A full spread (ask - bid) in ticks or in millionths of the price; the other one is 0."""

    ticks: int
    ppm: int
    expected = 'a spread such as "1 ticks", "0.8 pips" or "0.01%"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"1 ticks"`, `"0.8 pips"` (a pip is 10 ticks) or `"0.01%"`; raise ValueError."""
        text = parse_text(value, cls.expected)
        if _PERCENT.fullmatch(text):
            return cls(0, Percent.parse(text).ppm)
        return cls(_parse_steps(text, cls.expected), 0)

    def __str__(self) -> str:
        return ppm_text(self.ppm) if self.ppm else f"{self.ticks} ticks"


@dataclass(frozen=True, slots=True)
class Slippage:
    """How much worse than the touch a taking fill is.

    `value` is in ticks, in millionths of the price, or (volume) the impact in millionths that is
    multiplied by the square of order size over bar volume.
    """

    model: Literal["none", "ticks", "ppm", "volume"]
    value: int
    expected = 'slippage such as "none", "1 ticks", "0.02%" or "volume 0.1"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse `"none"`, `"1 ticks"`, `"0.02%"` or `"volume 0.1"`; raise ValueError."""
        text = parse_text(value, cls.expected)
        if text == "none":
            return cls("none", 0)
        if _PERCENT.fullmatch(text):
            return cls("ppm", Percent.parse(text).ppm)
        if match := _VOLUME.fullmatch(text):
            ppm = Decimal(match[1]) * PPM
            if not 0 <= ppm <= PPM_MAX or ppm != int(ppm):
                raise _refuse(value, cls.expected)
            return cls("volume", int(ppm))
        return cls("ticks", _parse_steps(text, cls.expected))

    def __str__(self) -> str:
        match self.model:
            case "none":
                return "none"
            case "ticks":
                return f"{self.value} ticks"
            case "ppm":
                return ppm_text(self.value)
            case "volume":
                return f"volume {plain(Decimal(self.value) / PPM)}"


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment in UTC: `"2023-11-01"` or `"2023-11-01T09:30:00Z"`."""

    ns: int
    expected = 'a UTC date such as "2023-11-01" or "2023-11-01T09:30:00Z"'

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse ISO text or a TOML date; a time without zone is refused; raise ValueError."""
        moment = value
        if isinstance(value, str):
            try:
                moment = (
                    datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
                )
            except ValueError:
                raise _refuse(value, cls.expected) from None
        if not isinstance(moment, date):
            raise _refuse(value, cls.expected)
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        if moment.tzinfo is None:
            raise ValueError(f"{value!s} has no time zone; expected {cls.expected}")
        first, end = INSTANTS
        if not first <= moment < end:
            raise ValueError(f"{value!s} is not between the years {first.year} and {end.year}")
        since = moment.astimezone(UTC) - first
        return cls((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.ns // 10**9, UTC)
        if self.ns % _NANOSECONDS["d"] == 0:
            return moment.strftime("%Y-%m-%d")
        fraction = f".{self.ns % 10**9:09d}".rstrip("0") if self.ns % 10**9 else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _parse_amount(number: str, value: object, expected: str) -> Decimal:
    amount = exact(number)
    if amount < 0:
        raise ValueError(f"must not be negative, found {shown(value)}")
    if amount > MONEY_MAX:
        raise ValueError(f"{shown(value)} is more than {MONEY_MAX}")
    if amount * 10**8 != int(amount * 10**8):
        raise ValueError(f"{shown(value)} is finer than 0.00000001; expected {expected}")
    return amount


def _parse_span(count: int, unit: str, value: object) -> int:
    span_ns = count * _NANOSECONDS[unit]
    if span_ns > DURATION_NS_MAX:
        raise ValueError(f"{shown(value)} is longer than a century")
    return span_ns


def _parse_steps(text: str, expected: str) -> int:
    match = _STEPS.fullmatch(text)
    if match is None:
        raise _refuse(text, expected)
    ticks = Decimal(match[1]) * (TICKS_PER_PIP if match[2].startswith("pip") else 1)
    if ticks < 0 or ticks != int(ticks):
        raise ValueError(f"{shown(text)} is not a whole number of ticks; expected {expected}")
    return int(ticks)

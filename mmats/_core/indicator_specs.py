"""Names of the indicators: which exist, their parameters and outputs, and when they are warm."""

import difflib
from collections.abc import Callable
from typing import NamedTuple

PERIOD_MAX = 100_000  # bars, as in TA-Lib; bounds the memory of a window


class IndicatorError(ValueError):
    """An indicator's name or a parameter is wrong; the text says what exists."""


class Parameter(NamedTuple):
    """One number of a spec."""

    label: str
    least: int  # 0: any number above 0
    whole: bool


class Definition(NamedTuple):
    """What a name stands for."""

    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]  # suffixes of the spec
    lookback: Callable[..., int]  # parameters -> bars before the first that has a number


class Spec(NamedTuple):
    """A spec taken apart."""

    name: str
    numbers: tuple[int | float, ...]
    outputs: tuple[str, ...]
    lookback: int


_PERIOD = (Parameter("period", 1, True),)
_PERIOD_FROM_2 = (Parameter("period", 2, True),)
_BANDS = (Parameter("period", 1, True), Parameter("multiplier", 0, False))
_MACD = (Parameter("fast", 2, True), Parameter("slow", 2, True), Parameter("signal", 1, True))
_STOCH = (Parameter("fast", 1, True), Parameter("k", 1, True), Parameter("d", 1, True))
_ONE = ("",)
_CHANNEL = (".upper", ".middle", ".lower")


def _full_window(period: int) -> int:
    return period - 1


def _full_window_of_changes(period: int) -> int:
    return period


CATALOG = {
    "sma": Definition(_PERIOD, _ONE, _full_window),
    "ema": Definition(_PERIOD, _ONE, _full_window),
    "ewma": Definition(_PERIOD, _ONE, lambda period: 0),
    "wma": Definition(_PERIOD, _ONE, _full_window),
    "rsi": Definition(_PERIOD_FROM_2, _ONE, _full_window_of_changes),
    "atr": Definition(_PERIOD, _ONE, _full_window_of_changes),
    "bbands": Definition(_BANDS, _CHANNEL, lambda period, multiplier: period - 1),
    "macd": Definition(
        _MACD, ("", ".signal", ".hist"), lambda fast, slow, signal: slow + signal - 2
    ),
    "vwap": Definition(_PERIOD, _ONE, _full_window),
    "donchian": Definition(_PERIOD, _CHANNEL, _full_window),
    "stddev": Definition(_PERIOD, _ONE, _full_window),
    "zscore": Definition(_PERIOD_FROM_2, _ONE, _full_window),
    "roc": Definition(_PERIOD, _ONE, _full_window_of_changes),
    "mom": Definition(_PERIOD, _ONE, _full_window_of_changes),
    "adx": Definition(_PERIOD_FROM_2, _ONE, lambda period: 2 * period - 1),
    "dmi": Definition(_PERIOD_FROM_2, (".plus", ".minus"), _full_window_of_changes),
    "stoch": Definition(_STOCH, (".k", ".d"), lambda fast, k, d: fast + k + d - 3),
    "willr": Definition(_PERIOD, _ONE, _full_window),
    "cci": Definition(_PERIOD_FROM_2, _ONE, _full_window),
    "obv": Definition((), _ONE, lambda: 0),
    "mfi": Definition(_PERIOD_FROM_2, _ONE, _full_window_of_changes),
    "highest": Definition(_PERIOD, _ONE, _full_window),
    "lowest": Definition(_PERIOD, _ONE, _full_window),
    "true_range": Definition((), _ONE, lambda: 1),
    "keltner": Definition(_BANDS, _CHANNEL, lambda period, multiplier: period),
}


def syntax(name: str) -> str:
    """Return how a spec of this name is written, e.g. ``bbands:PERIOD:MULTIPLIER``."""
    return ":".join([name, *(p.label.upper() for p in CATALOG[name].parameters)])


def _number(spec: str, text: str, parameter: Parameter) -> int | float:
    """Return the number `text`; it has one spelling only, since the spec is also the name."""
    label, least, whole = parameter
    number: int | float
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise IndicatorError(f"indicator {spec!r}: {label} {text!r} is not a {kind}") from None
    if not max(least, 0) <= number <= PERIOD_MAX or number == 0:  # also where it is not a number
        bound = f"from {least}" if least else "above 0 and up"
        raise IndicatorError(f"indicator {spec!r}: {label} {text} must be {bound} to {PERIOD_MAX}")
    plain = str(number) if whole else format(number, "g")
    if text != plain:
        raise IndicatorError(f"indicator {spec!r}: write {label} as {plain}, not {text}")
    return number


def parse(spec: str) -> Spec:
    """Take a spec such as ``bbands:20:2`` apart.

    Raises
    ------
    IndicatorError
        When the name does not exist or a parameter is missing, out of range or not written in its
        shortest form.
    """
    if not isinstance(spec, str):
        raise IndicatorError(f"indicator spec must be text such as 'ema:10', got {spec!r}")
    name, *texts = spec.split(":")
    if spec == "vwap":
        return Spec("vwap", (), _ONE, 0)
    if name not in CATALOG:
        near = difflib.get_close_matches(name.lower(), CATALOG, n=1)
        hint = f" Did you mean {syntax(near[0])!r}?" if near else ""
        existing = ", ".join(["vwap", *map(syntax, CATALOG)])
        raise IndicatorError(f"unknown indicator {spec!r}.{hint} Existing: {existing}")
    definition = CATALOG[name]
    if len(texts) != len(definition.parameters):
        raise IndicatorError(
            f"indicator {spec!r} has {len(texts)} parameters; write it as {syntax(name)!r}"
        )
    numbers = tuple(
        _number(spec, text, parameter)
        for text, parameter in zip(texts, definition.parameters, strict=True)
    )
    if name == "macd" and numbers[0] >= numbers[1]:
        raise IndicatorError(f"indicator {spec!r}: fast must be shorter than slow")
    return Spec(name, numbers, definition.outputs, definition.lookback(*numbers))

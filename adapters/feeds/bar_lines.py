"""Bars as lines of text, one by one: CSV with a header, or JSON objects."""

import csv
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from mmats.model.errors import DataError
from mmats.model.instrument import Instrument

COLUMNS = ("time", "open", "high", "low", "close", "volume")
INT64_MAX = 2**63 - 1
TIME_MAX = 7_258_118_400 * 10**9  # 2200-01-01
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_TEXT = re.compile(r"[0-9]{10}(?:[0-9]{3}){0,3}")
_ISO_TEXT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_NUMBER_TEXT = re.compile(r"[0-9]{1,18}(?:[.][0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?")

Row = tuple[int, int, int, int, int, int]
"""ts_event_ns, open, high, low and close in ticks, volume in lots."""


class BarLine(msgspec.Struct):
    """One line of JSON; more keys than these do no harm."""

    time: str | int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class BarLines:
    """Reads lines of one instrument's bars; each stands for itself.

    Parameters
    ----------
    close_shift_ns
        From a line's time to the close of its bar: the interval where times are opens, else 0.
    """

    def __init__(self, instrument: Instrument, close_shift_ns: int) -> None:
        self._tick_size = instrument.tick_size
        self._lot_size = instrument.lot_size
        self._close_shift_ns = close_shift_ns
        self._order: tuple[int, ...] = ()
        self._is_json = False
        self._decoder = msgspec.json.Decoder(BarLine)

    def read_header(self, line: str) -> bool:
        """Learn from the first line of a file what the others are; True: it was a header.

        Raises
        ------
        DataError
            It is neither a JSON object nor a header with all columns.
        """
        self._is_json, self._order = line.startswith("{"), ()
        if self._is_json:
            return False
        names = [name.strip().lower() for name in _cells(line)]
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise DataError(
                f"no column {', '.join(missing)}", row=1, hint=f"begin with {','.join(COLUMNS)}"
            )
        self._order = tuple(names.index(name) for name in COLUMNS)
        return True

    def read(self, line: str) -> Row:
        """Return the bar of a line; DataError, and nothing else, where it has none."""
        time, *values = self._json(line) if self._is_json else self._csv(line)
        ts_ns = _time_ns(time) + self._close_shift_ns
        opened, high, low, close = (
            _units(value, self._tick_size, name)
            for name, value in zip(COLUMNS[1:5], values, strict=False)
        )
        if not 0 < low <= min(opened, close) <= max(opened, close) <= high:
            raise DataError("prices are not above zero, or not within low to high")
        volume = _units(values[4], self._lot_size, "volume", whole=False)
        return ts_ns, opened, high, low, close, volume

    def _csv(self, line: str) -> Sequence[str | Decimal]:
        cells = _cells(line)
        if not self._order:
            raise DataError("the first line of the file is no header")
        if len(cells) <= max(self._order):
            raise DataError(f"{len(cells)} columns are too few")
        time, *texts = (cells[place].strip() for place in self._order)
        return [time, *(_decimal(text) for text in texts)]

    def _json(self, line: str) -> Sequence[str | Decimal]:
        try:
            found = self._decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, InvalidOperation) as error:
            raise DataError(f"no JSON object of a bar: {error}") from error
        return [str(found.time), found.open, found.high, found.low, found.close, found.volume]


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise DataError(f"no line of CSV: {error}") from error


def _decimal(text: str) -> Decimal:
    if _NUMBER_TEXT.fullmatch(text) is None:
        raise DataError(f"{text[:40]!r} is no number")
    return Decimal(text)


def _units(value: object, step: Decimal, name: str, whole: bool = True) -> int:
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        raise DataError(f"{name} is no number of 0 or more")
    if value and not -30 < value.adjusted() < 20:
        raise DataError(f"{name} is out of range")
    try:
        quotient, rest = divmod(value, step)
    except InvalidOperation as error:
        raise DataError(f"{name} is out of range") from error
    units = int(quotient)
    if units > INT64_MAX:
        raise DataError(f"{name} is out of range")
    if whole and rest:
        raise DataError(f"{name} {value} is no multiple of the tick size {step}")
    return units


def _time_ns(text: object) -> int:
    """UTC from an epoch in s, ms, us or ns, told by its digits, or from ISO 8601 with a zone."""
    if not isinstance(text, str):
        raise DataError("no time")
    if _EPOCH_TEXT.fullmatch(text):
        ts_ns: int = int(text) * 10 ** (19 - len(text))
        if ts_ns > TIME_MAX:
            raise DataError(f"{text!r} is out of range")
        return ts_ns
    if _ISO_TEXT.fullmatch(text) is None:
        raise DataError(f"{text[:40]!r} is no epoch and no ISO 8601 time with a zone, such as Z")
    try:
        since: timedelta = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise DataError(f"{text!r} is no time: {error}") from error
    ts_ns = since // timedelta(microseconds=1) * 1000
    if not 0 <= ts_ns <= TIME_MAX:
        raise DataError(f"{text!r} is out of range")
    return ts_ns

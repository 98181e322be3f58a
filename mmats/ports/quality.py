"""What is known about the quality of stored market data."""

from dataclasses import dataclass

from mmats.ports.data_format import DataKind


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that the calendar expects and that are not there; start and end are UTC ns.

    Bars: from the open of the first missing to the close of the last missing bar. Other kinds:
    a pause between two events, `missing_rows` 0.
    """

    start_ns: int
    end_ns: int
    missing_rows: int


@dataclass(frozen=True, slots=True)
class Outlier:
    """A return from one row to the next far outside what is usual there."""

    ts_event_ns: int
    log_return: float
    deviations: float  # distance from the median in robust standard deviations (1.4826 MAD)


@dataclass(frozen=True, slots=True)
class StuckRun:
    """Consecutive bars whose four prices never moved."""

    start_ns: int
    end_ns: int
    rows: int


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Facts about all stored rows of one kind, symbol and interval.

    `calendar` is "24/7", "forex" or "none"; with "none" nothing is expected, and gaps, missing
    and unexpected rows are not known (None).
    """

    symbol: str
    kind: DataKind
    interval_ns: int
    calendar: str
    source: str
    start_ns: int
    end_ns: int
    rows: int
    expected_rows: int | None
    missing_rows: int | None
    unexpected_rows: int | None  # outside the calendar's sessions
    duplicate_rows: int
    zero_volume_rows: int
    bad_price_rows: int  # zero or negative, high below low, open or close outside
    gaps: tuple[Gap, ...]
    outliers: tuple[Outlier, ...]
    stuck: tuple[StuckRun, ...]

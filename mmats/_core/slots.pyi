"""The places of strategies and of series of bars in the pipeline."""

from collections.abc import Iterable
from typing import Any, final

from mmats._core.bars import BarBuilder

@final
class StrategySlot:
    """A strategy with its place in the pipeline."""

    index: int
    name: str
    strategy: Any
    enabled: bool
    stop_on_error: bool
    signal_count: int

    def __init__(
        self, index: int, name: str, strategy: Any, stop_on_error: bool = False
    ) -> None: ...

@final
class Series:
    """Bars and indicators of one instrument at one interval."""

    instrument: int
    symbol: str
    interval_ns: int
    """0 = the feed's own bars."""
    source_kind: int

    def __init__(
        self,
        instrument: int,
        symbol: str,
        interval_ns: int,
        specs: Iterable[str],
        builder: BarBuilder | None = None,
        source_kind: int = ...,
    ) -> None: ...

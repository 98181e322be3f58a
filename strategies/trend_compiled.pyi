from collections.abc import Mapping
from typing import Any, final

from mmats.model import CompiledStrategy

@final
class TrendCompiled(CompiledStrategy):
    """Moving-average cross with an ATR stop, compiled; parameters as `strategies.trend.Trend`."""

    def initialize(self, config: Mapping[str, Any]) -> None: ...
    def bind(
        self,
        instrument: int,
        symbol: str,
        slots: dict[str, int],
        tick_size: float,
        lot_size: float,
    ) -> None: ...

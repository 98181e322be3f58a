"""Limits of one scope of the risk gate, and which of them each level knows."""

from typing import Final

NO_LIMIT: Final[int]
"""Switches a limit off."""

LEVEL_LIMITS: dict[str, frozenset[str]]
"""Level (global, market, strategy, symbol) -> names of the limits it checks."""

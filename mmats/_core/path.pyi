"""The way a price takes through a bar."""

from enum import IntEnum

class PathRule(IntEnum):
    """Which extreme of a bar comes first."""

    PATH_WORST = 1
    PATH_NEAREST = 2
    PATH_HIGH_FIRST = 3
    PATH_LOW_FIRST = 4

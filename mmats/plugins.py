"""Finds adapters by entry point, so that the engine never imports one by name."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mmats.model.errors import ConfigError


@cache
def load_plugins(group: str) -> dict[str, Any]:
    """Load every entry point of `group`, e.g. `mmats.formats`, by name in sorted order.

    Raises ConfigError where two distributions register the same name: which one wins would
    depend on the order of installation.
    """
    return {name: point.load() for name, point in _points(group).items()}


def plugin(group: str, name: str) -> Callable[..., Any]:
    """Return the factory registered as `name` in `group`; ConfigError names the known ones.

    Only this one is imported: what the others need may not be there.
    """
    points = _points(group)
    if name not in points:
        known = ", ".join(points) or "none; is the package installed?"
        raise ConfigError(f"{name!r} is not registered in {group} (known: {known})")
    factory: Callable[..., Any] = points[name].load()
    return factory


def forget_plugins() -> None:
    """Look again at what is installed, the next time something is asked for."""
    load_plugins.cache_clear()
    _points.cache_clear()


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.name in found:
            raise ConfigError(f"two installed packages register {point.name!r} in {group}")
        found[point.name] = point
    return found

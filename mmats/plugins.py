"""Finds adapters by entry point, so that the engine never imports one by name."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from mmats.model.errors import ConfigError


@cache
def load_plugins(group: str) -> dict[str, Any]:
    """Load every entry point of `group`, e.g. `mmats.formats`, by name in sorted order.

    Raises ConfigError where two distributions register the same name: which one wins would
    depend on the order of installation.
    """
    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.name in found:
            raise ConfigError(f"two installed packages register {point.name!r} in {group}")
        found[point.name] = point.load()
    return found


def plugin(group: str, name: str) -> Callable[..., Any]:
    """Return the factory registered as `name` in `group`; ConfigError names the known ones."""
    found = load_plugins(group)
    if name not in found:
        known = ", ".join(found) or "none; is the package installed?"
        raise ConfigError(f"{name!r} is not registered in {group} (known: {known})")
    factory: Callable[..., Any] = found[name]
    return factory

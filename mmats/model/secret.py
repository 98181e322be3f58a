"""A value that must not be told: it shows itself as ***, and logs know how to find it."""

import hmac
from typing import NoReturn

_known: set[str] = set()


class Secret:
    """A key, token or passphrase. Whoever needs it calls `reveal` at the last moment.

    It can't be printed, formatted or pickled, and every log of this process leaves its value out,
    also where it appears inside other text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        register_secret(value)

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def register_secret(value: str) -> None:
    """Let logs leave a value out that can't be kept as a Secret."""
    if value:
        _known.add(value)


def known_secrets() -> frozenset[str]:
    """Values that logs leave out; the set only grows."""
    return frozenset(_known)


def known_secret_count() -> int:
    """Number of such values; changes when there is a new one."""
    return len(_known)

"""Leaves secrets out of what is logged: by type, by name, and by value in the finished line."""

import base64
import json
import re
import traceback
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np
import orjson

from mmats.model.secret import Secret, known_secret_count, known_secrets

MASK = "***"
VALUE_CHARS_MIN = 4  # a shorter secret would blacken half of every line
_PIECE_CHARS_MIN = 8  # of encoded forms
_DEPTH_MAX = 8
_FRAMES_MAX = 50

_NAMES = (
    r"[a-z0-9_.-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|private[_-]?key|signature"
    r"|authorization|credential|cookie|mnemonic)s?"
)
_SECRET_KEY = re.compile(rf"(?:{_NAMES}|session(?:_id)?|sign|auth)", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    rf"""\b({_NAMES})(["']?\s*[=:]\s*["']?)((?:bearer\s+|basic\s+)?[^\s"'&,;)\]}}]+)""",
    re.IGNORECASE,
)


class Redactor:
    """Turns a log event into one line of JSON without secrets."""

    def __init__(self) -> None:
        self._seen = -1
        self._chars_min = 0  # of any form of a known secret
        self._pattern: re.Pattern[str] | None = None

    def line(self, event: Mapping[str, Any]) -> str:
        """Return the event as JSON; objects it does not know appear as the name of their type."""
        plain = {str(key): self._plain(key, value, 0) for key, value in event.items()}
        return self.text(orjson.dumps(plain).decode())

    def text(self, text: str) -> str:
        """Return a text without the known secrets in any of their forms."""
        pattern = self._current_pattern()
        if pattern is None or len(text) < self._chars_min:
            return text
        return pattern.sub(MASK, text)

    def _plain(self, key: object, value: Any, depth: int) -> Any:
        if isinstance(value, Secret) or (value and _is_secret(str(key))):
            return MASK
        if depth > _DEPTH_MAX:
            return "..."
        if isinstance(value, str):
            return self._text_value(value)
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int | np.integer):
            number = int(value)
            return number if -(2**63) <= number < 2**64 else str(number)
        if isinstance(value, np.floating):
            return float(value)
        if isinstance(value, Mapping):
            return {
                self._text_value(str(k)): self._plain(k, v, depth + 1) for k, v in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain("", item, depth + 1) for item in value]
        if isinstance(value, BaseException):
            return self.exception(value)
        if isinstance(value, bytes | bytearray):
            return self._text_value(bytes(value).decode(errors="backslashreplace"))
        if isinstance(value, Decimal | Path | date | Enum):
            return self._text_value(str(value))
        return f"<{type(value).__qualname__}>"

    def _text_value(self, text: str) -> str:
        # What can't be encoded (lone surrogates) would lose the whole line.
        clean = text.encode(errors="backslashreplace").decode()
        if "=" not in clean and ":" not in clean:
            return self.text(clean)
        return _SECRET_IN_TEXT.sub(rf"\1\2{MASK}", self.text(clean))

    def exception(self, error: BaseException) -> list[dict[str, Any]]:
        """Return an exception and its causes: type, message and places; no local variables."""
        chain: list[dict[str, Any]] = []
        current: BaseException | None = error
        while current is not None and len(chain) < _DEPTH_MAX:
            chain.append(
                {
                    "type": type(current).__qualname__,
                    "message": self._text_value(_message(current)),
                    "frames": _frames(current.__traceback__),
                }
            )
            hidden = current.__suppress_context__
            current = current.__cause__ or (None if hidden else current.__context__)
        return chain

    def _current_pattern(self) -> re.Pattern[str] | None:
        if known_secret_count() != self._seen:
            values = known_secrets()
            self._seen = len(values)
            forms = sorted(encoded_forms(values), key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None
            self._chars_min = len(forms[-1]) if forms else 0
        return self._pattern


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.fullmatch(key) is not None


def encoded_forms(values: Iterable[str]) -> set[str]:
    """All texts that give a value away: itself, escaped, as URL, hex and base64 at any offset."""
    forms: set[str] = set()
    for value in values:
        if len(value) < VALUE_CHARS_MIN:
            continue
        raw = value.encode(errors="surrogateescape")
        plain = {value, quote(value, safe=""), quote(value), quote_plus(value)}
        plain |= {repr(value)[1:-1], json.dumps(value)[1:-1]}
        pieces = {raw.hex(), raw.hex().upper()}
        for offset in range(3):
            # The characters at both ends also depend on what is beside the value.
            first = (offset * 8 + 5) // 6
            last = (offset + len(raw)) * 8 // 6
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                pieces.add(encode(b"\0" * offset + raw).decode()[first:last])
        forms |= plain | {piece for piece in pieces if len(piece) >= _PIECE_CHARS_MIN}
    # In the finished line every text has been escaped once more.
    return forms | {orjson.dumps(form).decode()[1:-1] for form in forms if form.isprintable()}


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - a broken __str__ must not lose the line
        return f"<{type(second).__qualname__} in __str__>"


def _frames(trace: TracebackType | None) -> list[str]:
    """Places, innermost last, as `file:line function`."""
    summary = traceback.StackSummary.extract(
        traceback.walk_tb(trace), limit=-_FRAMES_MAX, lookup_lines=False, capture_locals=False
    )
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in summary]

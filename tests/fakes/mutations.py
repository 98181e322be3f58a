"""Seeded ways to spoil input: bytes of any format, and the tables of a configuration."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

BYTES = (0, 1, 2, 9, 10, 13, 27, 34, 39, 92, 127, 128, 192, 237, 255)


def spoiled(
    chance: random.Random, data: bytes, pieces: Sequence[bytes] = (), spots_max: int = 4
) -> bytes:
    """Change bytes in one to `spots_max` places: other, missing, strange, doubled, cut off."""
    out = bytearray(data)
    for _ in range(chance.randint(1, spots_max)):
        at = chance.randrange(len(out) + 1)
        kind = chance.randrange(6)
        if kind == 0 and at < len(out):
            out[at] = chance.choice((*BYTES, chance.randrange(256)))
        elif kind == 1 and at < len(out):
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del out[at : at + chance.randint(1, 8)]
        elif kind == 3 and pieces:
            out[at:at] = chance.choice(pieces)
        elif kind == 4 and data:
            start = chance.randrange(len(data))
            out[at:at] = data[start : start + chance.randint(1, 40)]
        elif chance.random() < 0.2:
            del out[at:]
    return bytes(out)


# -- tables ----------------------------------------------------------------------------------------

NUMBERS = (
    "0", "1", "-1", "+2", "00", "0.1", "1.", ".5", "1e9", "1e999", "-0", "NaN", "inf", "-inf",
    "9" * 19, "9" * 40, "9" * 400, "9" * 5000, "0." + "0" * 30 + "1", "18446744073709551616",
    "9223372036854775807", "9223372036854775808", "٣", "1_000", "0x10", "99", "101", "1" + "0" * 27,
    "3.999999999999999999999999999999999",
)  # fmt: skip
UNITS = (
    "", "%", " %", " EUR", " USDT", " eur", " ticks", " pips", "s", "ms", "ns", "h", "d", "w", "m",
    "/s", "/5m", "/0s", "/" + "9" * 30 + "w", "x", " quote", "%/year", "y", " \t%", "/ s", " bars",
)  # fmt: skip
WORDS = (
    "", " ", "none", "max", "\0", "\x1b[31m", "a\nb", "\ud800", "😀" * 50, "x" * 100_000, "[bold]",
    "volume 0.1", "volume -1", "volume 1e9", "../../etc", "BTCUSDT", "BTCUSDT.BINANCE", "EURUSD",
    "USDT", "EUR", "trend", "active", "memory", "tail", "delta", "quote", "ema:20", "ema:0",
    "ema:" + "9" * 30, "bbands:20:nan", "bbands:20:1e308", ":", "0001-01-01", "9999-12-31",
    "2024-02-30", "1500-01-01", "2262-04-12", "2024-01-01T25:00:00Z", "2024-01-01T00:00:00",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2024-W01-1", "20240101",
    "1970-01-01", "1969-12-31T23:59:59.999999Z",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5,
    -0.0, float("nan"), float("inf"), 1e308, [], [[]], {}, {"": 1}, {"a": {"b": {}}}, [None],
    b"bytes", date(1, 1, 1), date(9999, 12, 31), date(1600, 2, 29),
    datetime.fromisoformat("2024-01-01"),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
    datetime(2024, 1, 1, tzinfo=UTC), datetime.min.time(),
)  # fmt: skip


def strange(chance: random.Random) -> Any:
    """Return a value of a kind that a table may hold, most of them out of place."""
    kind = chance.randrange(8)
    if kind < 4:
        return chance.choice(NUMBERS) + chance.choice(UNITS)
    if kind == 4:
        return chance.choice(WORDS)
    if kind == 5:
        return [strange(chance) for _ in range(chance.randrange(4))]
    if kind == 6 and chance.random() < 0.05:
        return nested(chance.choice((50, 900, 5000)), chance.choice((_in_list, _in_table)))
    return copied(chance.choice(VALUES))


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    """Return something wrapped `depth` times."""
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def _in_list(value: Any) -> Any:
    return [value]


def _in_table(value: Any) -> Any:
    return {"a": value}


def copied(value: Any, depth_max: int = 60) -> Any:
    """Return tables and lists anew, values as they are; what is deeper is left out."""
    if depth_max == 0:
        return None
    if isinstance(value, dict):
        return {key: copied(item, depth_max - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item, depth_max - 1) for item in value]
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in tables and lists, at any depth."""
    found = []
    todo = [value]
    while todo:
        inner = todo.pop()
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            found.append((inner, key))
            if isinstance(inner[key], dict | list):
                todo.append(inner[key])
    return found


def spoil_table(chance: random.Random, table: dict[str, Any], keys: Sequence[str]) -> Any:
    """Change one place of a table in place; returns the key of that place."""
    inner, key = chance.choice(places(table))
    kind = chance.randrange(10)
    if kind < 6:
        inner[key] = strange(chance)
    elif kind == 6:
        del inner[key]
    elif kind == 7 and isinstance(inner, dict):
        other = chance.choice((*keys, *WORDS[:9], str(key).upper(), f"{key}s"))
        inner[other] = inner.pop(key)
        return other
    elif kind == 8 and isinstance(inner, dict):
        key = chance.choice(keys)
        inner[key] = strange(chance)
    elif isinstance(inner, list):
        inner.append(copied(inner[key]))
    else:
        inner[key] = copied(chance.choice(places(table))[0])
    return key

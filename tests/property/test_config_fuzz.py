"""Configurations that nobody meant: a ConfigError that a person can read, or one that works."""

import contextlib
import random
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mmats.config import load_config, schema
from mmats.config.load import read_toml
from mmats.config.show import effective_values
from mmats.engine.session import Session
from mmats.model.errors import ConfigError, StrategyError
from tests.fakes.mutations import copied, spoil_table, spoiled

EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_bytes()
TABLES = [4_000, pytest.param(1_000_000, marks=pytest.mark.long)]
FILES = [2_000, pytest.param(1_000_000, marks=pytest.mark.long)]
BUILT_EVERY = 20  # of the accepted ones, a session is made of so many
MESSAGE_LENGTH_MAX = 20_000


def _keys() -> list[str]:
    found: dict[str, None] = {}
    for table in vars(schema).values():
        if isinstance(table, type) and issubclass(table, msgspec.Struct):
            found |= dict.fromkeys(table.__struct_fields__)
    return list(found)


KEYS = _keys()
TABLE: dict[str, Any] = tomllib.loads(EXAMPLE.decode())
TABLE["strategies"][0]["params"]["later"] = 1
TABLE["instruments"] = [
    {
        "symbol": "BTCUSDT", "venue": "BINANCE", "tick_size": "0.01", "quantity_min": "0.00001",
        "stale_after": "1h", "leverage": 0, "multiplier": "1",
    },
]  # fmt: skip
TABLE["journal"] |= {"seal_interval": "1m", "size_max": 2**30}
TABLE["backtest"] |= {"start": "2024-01-02", "end": "2024-01-20"}
TABLE["engine"] |= {"price_jump_max": "20%", "feed_ahead_max": "35d", "query_wait": "2s"}
TABLE["strategies"][0] |= {"budget": "250ms", "kelly_cap": "2%", "mode": "paper"}
TABLE["fill"] |= {"feed_latency": "5ms", "feed_jitter": "1ms"}
TABLE["costs"] |= {"volume_share": "10%", "swap_long": "-1%/year", "fixed": "0.1 quote"}


def told(error: ConfigError) -> str:
    """The message, which must be one that a terminal and a person can take."""
    text = str(error)
    assert text.strip()
    assert len(text) < MESSAGE_LENGTH_MAX
    assert "\x1b" not in text
    assert "\0" not in text
    text.encode()
    return text


def outcome(data: dict[str, Any], number: int) -> str:
    """Load a configuration as the engine does; any other exception is an error of the test."""
    try:
        config = load_config(data, base_dir="/")
    except ConfigError as error:
        return told(error)
    assert len(config.config_hash) == 64
    assert len(effective_values(config, data)) > 50
    if number % BUILT_EVERY == 0:
        with contextlib.suppress(ConfigError, StrategyError):
            Session(config)
    return ""


@pytest.mark.parametrize("count", TABLES)
def test_mutated_tables(count: int) -> None:
    chance = random.Random(count)
    named = accepted = alone = 0
    for number in range(count):
        data = copied(TABLE)
        spots = chance.choice((1, 1, 1, 2, 3))
        keys = [spoil_table(chance, data, KEYS) for _ in range(spots)]
        text = outcome(data, number)
        accepted += not text
        if text and spots == 1 and isinstance(keys[0], str) and keys[0].isidentifier():
            alone += 1
            named += keys[0] in text
    assert accepted > count // 20
    assert alone > count // 5
    # A message may name what a change has put out of place instead: an instrument, a currency.
    assert named > 0.98 * alone, f"{alone - named} of {alone} messages do not name their key"


PIECES = (
    b'"', b"'", b'"""', b"=", b"[", b"]", b"[[", b"]]", b"{", b"}", b"#", b"\n", b"\r", b"\r\n",
    b"\0", b"\xff", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"\\", b"nan", b"inf", b"9" * 400,
    b"9" * 5000, b"1979-05-27T07:32:00Z", b"0001-01-01", b"\n[a]\n", b"\n[risk]\n",
    b"\n[[feeds]]\n", b"1e999", b"\nname = 1\n", b"[" * 3000, b"{a=" * 3000, b"a." * 3000, b"0x",
    b"-0", b"_", b"\xef\xbb\xbf",
)  # fmt: skip


@pytest.mark.parametrize("count", FILES)
def test_mutated_files(count: int, tmp_path: Path) -> None:
    chance, path = random.Random(count), tmp_path / "config.toml"
    lines = [line for line in EXAMPLE.split(b"\n") if line and not line.startswith(b"#")]
    accepted = 0
    for number in range(count):
        first = chance.randrange(len(lines))
        text = b"\n".join(lines if number % 2 else lines[first : first + 12])
        path.write_bytes(spoiled(chance, text, PIECES))
        try:
            data = read_toml(path)
        except ConfigError as error:
            refusal = error
        else:
            accepted += not outcome(data, number)
            continue
        assert str(path) in told(refusal)
    assert accepted > count // 200

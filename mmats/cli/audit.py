"""`mmats audit show | export | verify`."""

import csv
import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
import orjson

from mmats.cli.console import err
from mmats.config.units import Duration, Instant
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin

EXIT_FINDING = 1
KEY_SIZE = 32
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # what a terminal obeys or does not show
_PLACED = ("seq", "ts_ns", "entry", "kind", "strategy", "instrument", "data", "hash")
_ALL = "#-1"  # of a record that is about no strategy or instrument
_LONG = {"hash", "reply", "config", "code", "strategies", "instruments"}  # not in a line of text
_FIELDS = (
    "side", "order_type", "tif", "role", "liquidity", "state", "reason", "signal_id", "order_id",
    "trade_id", "lots", "price_ticks", "trigger_ticks", "stop_loss_ticks", "take_profit_ticks",
    "observed", "limit", "realized", "fee", "spread_cost", "slippage_cost", "confidence_ppm",
)  # fmt: skip

Row = dict[str, Any]

_PROFILE = click.option(
    "--profile",
    "profile_name",
    type=click.Choice(PROFILES),
    default="paper",
    show_default=True,
    help="Whose journal.",
)
_HOME = click.option(
    "--home", type=click.Path(path_type=Path), help="Folder of the profiles: $MMATS_HOME, ~/.mmats."
)


@click.group()
def audit() -> None:
    """Read and check the journal: what was decided, sent and learned, and that it is untouched."""


@audit.command()
@_PROFILE
@_HOME
@click.option("--since", help="A time such as 2026-01-31T09:00:00Z, or a span such as 2h.")
@click.option("--order", type=int, help="Number of an order.")
@click.option("--strategy", help="Name of a strategy.")
@click.option("--kind", help="note, record, seal, cut; filled, command, run.started, run, ...")
@click.option("--last", type=click.IntRange(min=1), help="So many, the last ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def show(
    profile_name: str, home: Path | None, as_json: bool, since: str | None, **chosen: Any
) -> None:
    """Print entries, oldest first; --json prints all that is in them."""
    rows = _rows(Profile.of(profile_name, home), since_ns=_since_ns(since), **chosen)
    try:
        for line in map(_json_line if as_json else _text_line, rows):
            click.echo(line)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has seen enough, as `head` has


@audit.command()
@_PROFILE
@_HOME
@click.option("--format", "format_name", type=click.Choice(["jsonl", "csv"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="File; stdout where not given.")
@click.option("--since", help="A time such as 2026-01-31T09:00:00Z, or a span such as 2h.")
def export(
    profile_name: str, home: Path | None, format_name: str, out: Path | None, since: str | None
) -> None:
    """Write all entries in a form that other programs read."""
    rows = _rows(Profile.of(profile_name, home), since_ns=_since_ns(since))
    first = next(rows, None)  # a journal that can't be read leaves no empty file
    everything = chain([first] if first is not None else [], rows)
    opened = out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout)
    with opened as file:
        if format_name == "csv":
            _write_csv(file, everything)
        else:
            file.writelines(_json_line(row) + "\n" for row in everything)


@audit.command()
@_PROFILE
@_HOME
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Verification key.")
@click.option("--anchor", "anchor_texts", multiple=True, help="SIZE:HASH of a head seen outside.")
@click.option(
    "--anchors", "anchors_file", type=click.Path(path_type=Path), help="JSON lines of such heads."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.pass_context
def verify(
    ctx: click.Context,
    profile_name: str,
    home: Path | None,
    key_file: Path | None,
    anchor_texts: tuple[str, ...],
    anchors_file: Path | None,
    as_json: bool,
) -> None:
    """Check the chain, the seals, the state and the heads that were seen outside.

    Exit code 0: everything that could be checked is right; 1: something is wrong; 2: the check
    could not run. Nothing is changed, and an engine may be running. Key and heads are those of the
    profile unless given; a key that was kept elsewhere is worth more.
    """
    profile = Profile.of(profile_name, home)
    anchors = [_anchor(text) for text in anchor_texts]
    anchors += read_anchors(anchors_file or profile.anchors_file, must_exist=bool(anchors_file))
    key = _read_key(key_file or profile.keys_dir / "journal.verify", must_exist=bool(key_file))
    result = plugin("mmats.journal", "verify")(profile.journal_dir, key=key, anchors=anchors)
    if as_json:
        click.echo(_visible(orjson.dumps(result).decode()))
    else:
        _print_result(result, has_key=key is not None, anchor_count=len(set(anchors)))
    if result.findings:
        ctx.exit(EXIT_FINDING)


def _rows(profile: Profile, **chosen: Any) -> Iterator[Row]:
    rows: Iterator[Row] = plugin("mmats.journal", "rows")(profile.journal_dir, **chosen)
    return rows


def _since_ns(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return time.time_ns() - Duration.parse(text).ns
    except ValueError:
        pass
    try:
        return Instant.parse(text).ns
    except ValueError as error:
        raise ConfigError(str(error), "--since", "or a span of time such as 2h") from None


def _anchor(text: str) -> tuple[int, str]:
    size, _, hash_ = text.partition(":")
    try:
        if len(bytes.fromhex(hash_)) == KEY_SIZE and 0 <= int(size) < 2**63:
            return int(size), hash_
    except ValueError:
        pass
    raise ConfigError(f"{text!r} is no head", "--anchor", "SIZE:HASH, the hash in 64 hex digits")


def read_anchors(file: Path, *, must_exist: bool) -> list[tuple[int, str]]:
    """Return the heads of a file; ConfigError where it was named and a line of it is none."""
    if not must_exist and not file.exists():
        return []
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"can't be read: {error}", str(file)) from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_anchor_of(line, f"{file}:{number}"))
        except ConfigError as error:
            if must_exist:
                raise
            # Clients append to their file: one that was killed can have left half a line.
            err().print(f"passed over: {error}", markup=False)
    return found


def _anchor_of(line: str, where: str) -> tuple[int, str]:
    try:
        head = json.loads(line)
        return _anchor(f"{head['size']}:{head['hash']}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError("is no head", where, 'such as {"size": 7, "hash": "..."}') from error


def _read_key(file: Path, *, must_exist: bool) -> bytes | None:
    if not must_exist and not file.exists():
        return None
    try:
        key = bytes.fromhex(file.read_text().strip())
    except OSError as error:
        raise ConfigError(f"can't be read: {error}", str(file)) from error
    except ValueError as error:
        raise ConfigError("is no key in hex", str(file)) from error
    if len(key) != KEY_SIZE:
        raise ConfigError(f"a key has {KEY_SIZE} bytes, this one {len(key)}", str(file))
    return key


def _print_result(result: Any, *, has_key: bool, anchor_count: int) -> None:
    for finding in result.findings:
        at = f" at entry {finding.seq}" if finding.seq else ""
        click.echo(_visible(f"WRONG  {finding.kind}{at}: {finding.message}"))
    belongs = ", ".join(f"{name} {value}" for name, value in result.genesis.items())
    click.echo(_visible(f"journal of {belongs or 'unknown'}"))
    click.echo(f"{result.size} entries, the last {result.hash or 'unknown'}")
    seals = f"{result.seals_checked} checked" if has_key else "not checked: no verification key"
    click.echo(f"{result.seals} seals, {seals}; {result.unsealed} entries after the last")
    click.echo(
        f"{anchor_count} heads from outside, {result.anchors_checked} right"
        if anchor_count
        else "no head from outside: a shortened journal can't be told from a whole one"
    )
    if result.cuts:
        click.echo(f"damaged tails were cut, see entries {', '.join(map(str, result.cuts))}")
    click.echo("WRONG" if result.findings else "everything that could be checked is right")


def _text_line(row: Row) -> str:
    placed = (str(row.get(name, _ALL)) for name in ("strategy", "instrument"))
    who = " ".join(name for name in placed if name != _ALL)
    told = [f"{name}={row[name]}" for name in _FIELDS if name in row]
    data = row.get("data", {})
    told += [f"{k}={_plain(v)}" for k, v in data.items() if k != "strategy" and k not in _LONG]
    moment = datetime.fromtimestamp(row["ts_ns"] // 10**9, UTC)
    fraction = row["ts_ns"] % 10**9 // 1000
    head = f"{row['seq']:>8}  {moment:%Y-%m-%d %H:%M:%S}.{fraction:06d}  {row['kind']:<15}"
    return _visible("  ".join(part for part in (head, who, " ".join(told)) if part))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _json_line(row: Row) -> str:
    return _visible(orjson.dumps(row).decode())


def _write_csv(file: IO[str], rows: Iterable[Row]) -> None:
    writer = csv.writer(file)
    writer.writerow((*_PLACED, *_FIELDS))
    for row in rows:
        writer.writerow(_cell(row.get(name, "")) for name in (*_PLACED, *_FIELDS))


def _cell(value: object) -> str:
    """Text that a spreadsheet takes for a formula is quoted, as it may come from a venue."""
    if isinstance(value, dict):
        return _visible(orjson.dumps(value).decode())
    text = _visible(str(value))
    is_number = isinstance(value, int)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} and not is_number else text


def _visible(text: str) -> str:
    """Control characters, and those that hide or turn text round, as JSON escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        json.dumps(char)[1:-1] if unicodedata.category(char) in _HIDDEN else char for char in text
    )

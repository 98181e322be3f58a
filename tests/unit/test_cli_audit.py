"""`mmats audit`: what is printed, what can't reach the terminal, and the exit codes."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from adapters.journal.layout import DATA
from adapters.journal.store import open_journal
from mmats._core import RECORD_DTYPE, Reason, RecordKind, Side
from mmats.cli.main import main
from mmats.model.profile import Profile
from mmats.ports.journal import Genesis, Group, Head, Note
from tests.fakes.installed import install_entry_points
from tests.fakes.journal_session import commit

SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS
EVIL = "a\x1b[2Jb\u202ec\nd\x7f"


def record(kind: RecordKind, seconds: int, **fields: int) -> bytes:
    found = np.zeros(1, RECORD_DTYPE)
    found["kind"], found["ts_ns"] = kind, START_NS + seconds * SECOND_NS
    for name, value in fields.items():
        found[name] = value
    return found.tobytes()


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    install_entry_points(tmp_path, monkeypatch)
    monkeypatch.setenv("MMATS_HOME", str(tmp_path / "home"))
    made = Profile.of("paper")
    made.create()
    return made


@pytest.fixture
def head(profile: Profile) -> Head:
    """A journal of two strategies, one of which says things that a terminal would obey."""
    writer, _ = open_journal(profile.journal_dir, Genesis("paper", "USD", 1), run="r1")
    names = {"run": "r1", "strategies": ["ema", "rsi"], "instruments": ["BTCUSDT.BINANCE"]}
    notes = (
        Note("run.started", START_NS, dict(names)),
        Note("command", START_NS + 3 * SECOND_NS, {"text": EVIL, "strategy": "rsi"}, 2),
    )
    records = (
        record(RecordKind.RECORD_SUBMITTED, 1, order_id=7, lots=5, side=Side.SIDE_BUY),
        record(RecordKind.RECORD_FILLED, 2, order_id=7, lots=-5, price_ticks=100, strategy=1),
        record(RecordKind.RECORD_DENIED, 4, reason=Reason.REASON_HALTED, strategy=9),
    )
    assert commit(writer, Group(1, START_NS, b"".join(records), notes, b"state"))
    writer.close()
    return writer.head


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", *arguments])


def shown(*arguments: str) -> list[dict[str, object]]:
    result = run("show", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("head")
def test_entries_are_shown_with_the_names_of_their_run() -> None:
    lines = run("show").stdout.splitlines()
    assert len(lines) == 7
    assert "2023-11-14 22:13:21.000000  submitted        ema BTCUSDT.BINANCE" in lines[1]
    assert "side=buy order_id=7 lots=5" in lines[1]
    assert "reason=halted" in lines[4]
    assert "#9 BTCUSDT.BINANCE" in lines[4]


@pytest.mark.usefixtures("head")
@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        ((), [1, 2, 3, 4, 5, 6, 7]),
        (("--order", "7"), [2, 3]),
        (("--strategy", "rsi"), [3, 4]),
        (("--kind", "run"), [1]),
        (("--kind", "note"), [1, 4]),
        (("--kind", "filled"), [3]),
        (("--kind", "record", "--last", "2"), [3, 5]),
        (("--last", "2"), [6, 7]),
        (("--since", "2023-11-14T22:13:23Z"), [4, 5, 7]),
        (("--since", "2h"), [7]),
    ],
)
def test_entries_are_chosen(arguments: tuple[str, ...], seqs: list[int]) -> None:
    assert [row["seq"] for row in shown(*arguments)] == seqs


@pytest.mark.usefixtures("head")
@pytest.mark.parametrize(
    "arguments", [("show",), ("show", "--json"), ("export", "--format", "jsonl")]
)
def test_no_text_gets_at_the_terminal(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert all(char == "\n" or char.isprintable() for char in result.stdout)
    assert "\\u001b[2Jb\\u202ec" in result.stdout
    assert len(result.stdout.splitlines()) == 7


@pytest.mark.usefixtures("head")
def test_json_keeps_what_was_said() -> None:
    assert shown("--kind", "command")[0]["data"] == {"text": EVIL, "strategy": "rsi"}


@pytest.mark.usefixtures("head")
def test_csv_is_read_by_others(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert run("export", "--format", "csv", "--out", str(file)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["kind"] for row in rows][:3] == ["run.started", "submitted", "filled"]
    assert rows[2]["lots"] == "-5"
    assert json.loads(rows[3]["data"])["text"] == EVIL


def test_a_text_that_a_spreadsheet_would_run_is_quoted(profile: Profile) -> None:
    writer, _ = open_journal(profile.journal_dir, Genesis("paper", "USD", 1), run="r1")
    assert commit(writer, Group(1, 1, notes=(Note("=1+1", 1, {}),)))
    writer.close()
    assert "'=1+1" in run("export", "--format", "csv").stdout


def test_a_whole_journal_passes(profile: Profile, head: Head) -> None:
    profile.anchors_file.write_text(json.dumps({"size": head.size, "hash": head.hash}) + "\n")
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert "1 seals, 1 checked; 0 entries after the last" in result.stdout
    assert "1 heads from outside, 1 right" in result.stdout
    assert "everything that could be checked is right" in result.stdout


def test_half_a_line_among_the_heads_is_told_and_passed_over(profile: Profile, head: Head) -> None:
    line = json.dumps({"size": head.size, "hash": head.hash})
    profile.anchors_file.write_text(f"{line}\n{line[:20]}")
    result = run("verify")
    assert result.exit_code == 0
    assert "heads.jsonl:2: is no head" in result.stderr.replace("\n", "")
    assert "1 heads from outside, 1 right" in result.stdout


@pytest.mark.usefixtures("head")
def test_a_wrong_head_is_a_finding() -> None:
    result = run("verify", "--anchor", f"3:{'00' * 32}", "--json")
    assert result.exit_code == 1
    assert [found["kind"] for found in json.loads(result.stdout)["findings"]] == ["anchor"]


@pytest.mark.usefixtures("head")
def test_a_wrong_key_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("00" * 32)
    result = run("verify", "--key", str(tmp_path / "key"))
    assert result.exit_code == 1
    assert "WRONG  seal at entry 7" in result.stdout


@pytest.mark.usefixtures("head")
def test_damage_beyond_reading_is_a_finding(profile: Profile) -> None:
    (profile.journal_dir / DATA).write_bytes(b"\x00" * 8192)
    result = run("verify")
    assert result.exit_code == 1
    assert "WRONG  unreadable" in result.stdout


@pytest.mark.usefixtures("head")
def test_a_check_that_is_killed_by_what_it_reads_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -BUS $$\n")
    killed.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(killed))
    result = run("verify")
    assert result.exit_code == 1
    assert "SIGBUS" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("show",),
        ("export", "--format", "csv", "--out", "never"),
        ("verify", "--key", "nowhere"),
        ("verify", "--anchors", "nowhere"),
        ("verify", "--anchor", "7:beef"),
        ("show", "--since", "yesterday"),
    ],
)
def test_what_can_not_run_ends_in_two(
    profile: Profile, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (profile.journal_dir / DATA).exists()
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert "error:" in result.stderr
    assert not (tmp_path / "never").exists()

"""`mmats demo`: a paper engine on a synthetic market, with everything that belongs to it."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from mmats.cli.backtest import DEMO_HTML, backtest_demo
from mmats.cli.console import err, out
from mmats.model.errors import MmatsError
from mmats.model.profile import Profile
from mmats.plugins import plugin

if TYPE_CHECKING:
    pass

START_S_MAX = 30.0
BOUNDED_S_MAX = 120.0
STOP_S_MAX = 30.0


@click.command()
@click.option("--backtest", is_flag=True, help="Replay two months instead, with a report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    default=DEMO_HTML,
    show_default=True,
    help="With --backtest: where to write the page.",
)
@click.option("--seed", type=int, help="With --backtest: another synthetic market.")
@click.option("--quiet", is_flag=True, help="No progress and no notes.")
def demo(backtest: bool, as_json: bool, html: Path, seed: int | None, quiet: bool) -> None:
    """Trade a synthetic market on paper: 150 EUR, two strategies, nothing from a network.

    On a terminal it shows the engine live until Ctrl-C; elsewhere it runs through five days of
    the market. Then everything is stopped and the summary of the session is printed. Nothing is
    left behind.
    """
    if backtest:
        backtest_demo(as_json=as_json, html=html, seed=seed, quiet=quiet)
        return
    watched = out().is_terminal and not as_json
    home = Path(tempfile.mkdtemp(prefix="mmats-demo-"))
    try:
        summary = _session(home, watched, quiet)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if as_json:
        click.echo(orjson.dumps(summary).decode())
    else:
        _print(summary)


def _session(home: Path, watched: bool, quiet: bool) -> dict[str, Any]:
    """Run everything that `mmats up` runs; return what came of it."""
    from mmats.cli.live import watch
    from mmats.client import Client
    from mmats.engine.users import ensure_users

    config = home / "demo.toml"
    text = resources.files("mmats.config").joinpath("paper_demo.toml").read_text("utf-8")
    config.write_text(text if watched else text.replace('"1200x"', '"max"'), "utf-8")
    profile = Profile.of("paper", home)
    profile.create()
    ensure_users(profile, lambda told: None)  # nobody raises risk here
    if not quiet:
        err().print("starting a paper engine on a SYNTHETIC market", style="dim", markup=False)
    with (
        _up(config, home) as process,
        Client.connect("paper", home, wait=True, timeout_s=START_S_MAX) as client,
    ):
        if watched:
            watch(client, until=lambda: process.poll() is not None)
        elif not client.wait_for(lambda mirror: _has_ended(mirror), timeout_s=BOUNDED_S_MAX):
            raise MmatsError("the demo did not get through its market in time", "demo")
        account = client.state.get("account")
        run = client.run
        client.down(reason="the demo is over")
        process.wait(STOP_S_MAX)
    return _summary(profile, run, account)


def _has_ended(mirror: Any) -> bool:
    """The feed has told all it has, and the state that came of it is published."""
    feeds = [value for key, value in mirror.items() if key.startswith("feed:")]
    return bool(feeds) and all(feed["state"] == "ended" for feed in feeds)


@contextmanager
def _up(config: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`mmats up` as a child; Ctrl-C reaches this process, which then stops it in good order."""
    with (home / "up.out").open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 - this program, a list of arguments
            [sys.executable, "-m", "mmats", "up", "--config", str(config), "--home", str(home)],
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _summary(profile: Profile, run: str, account: Any) -> dict[str, Any]:
    """Count what the journal says of the run, and verify it."""
    from mmats._core import RecordKind

    started = time.perf_counter()
    found = plugin("mmats.journal", "run_records")(profile.journal_dir, run)
    key = bytes.fromhex((profile.keys_dir / "journal.verify").read_text().strip())
    verified = plugin("mmats.journal", "verify")(profile.journal_dir, key=key, anchors=[])
    kinds = found.records["kind"]

    def count(*wanted: RecordKind) -> int:
        return int(sum((kinds == kind).sum() for kind in wanted))

    return {
        "schema": "mmats.demo/1",
        "run": run,
        "equity": account["equity"],
        "day_pnl": account["day_pnl"],
        "currency": account["currency"],
        "signals": count(RecordKind.RECORD_SIGNAL),
        "denials": count(RecordKind.RECORD_DENIED),
        "orders": count(RecordKind.RECORD_SUBMITTED),
        "fills": count(RecordKind.RECORD_FILLED, RecordKind.RECORD_LATE_FILL),
        "journal_findings": len(verified.findings),
        "verify_s": round(time.perf_counter() - started, 3),
    }


def _print(summary: dict[str, Any]) -> None:
    findings = summary["journal_findings"]
    lines = [
        "paper session on a SYNTHETIC market: it says nothing about any real one",
        f"  equity    {summary['equity']} {summary['currency']} (started with 150.00)",
        f"  signals   {summary['signals']}, denied by the risk gate {summary['denials']}",
        f"  orders    {summary['orders']}, fills {summary['fills']}",
        "  journal   " + (f"{findings} findings" if findings else "verified: nothing missing"),
        "next: README.md, from step 1; mmats demo --backtest shows a report",
    ]
    for line in lines:
        out().print(line, markup=False, highlight=False)

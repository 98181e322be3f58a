"""SIGKILL at random moments, replies lost: nothing acknowledged is lost, no order is doubled."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.campaigns.children import module
from tests.campaigns.kill import Campaign, Outcome
from tests.campaigns.listening import LinesTail


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a path that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="kill", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def campaign_of(home: Path, variant: str, kills: int) -> Outcome:
    """A campaign against one of the small engines of `kill_engine.py`."""
    engine = module("tests.fakes.kill_engine", home, variant)
    tail = LinesTail(home / "dev" / "journal.jsonl")
    return Campaign(home, engine, tail, load=False).run(kills)


@pytest.mark.parametrize("kills", [50, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.parametrize("each_report", [False, True], ids=["messages", "reports"])
def test_the_engine_loses_nothing_and_doubles_nothing(
    home: Path, kills: int, each_report: bool, record_property: Callable[[str, object], None]
) -> None:
    outcome = Campaign(home, seed=kills, each_report=each_report).run(kills)
    record_property("campaign", str(outcome))
    assert outcome.findings.is_clean, outcome
    assert outcome.kills == kills
    assert outcome.runs > kills / 2
    assert outcome.orders > 5 * kills
    assert outcome.acked > outcome.orders
    assert outcome.venue["lose"] > 0
    assert outcome.venue["duplicate_submits"] == 0


def test_an_engine_that_writes_first_and_asks_after_a_crash_is_acquitted(home: Path) -> None:
    outcome = campaign_of(home, "right", 6)
    assert outcome.findings.is_clean, outcome
    assert outcome.kills == 6
    assert outcome.venue["lose"] > 0
    assert outcome.orders > 20
    assert outcome.venue["duplicate_submits"] == 0


@pytest.mark.parametrize(
    ("variant", "kinds"),
    [
        ("resend", {"duplicated"}),
        ("late", {"unknown", "duplicated"}),
        ("told", {"lost"}),
        ("forgets", {"diverged"}),
    ],
)
def test_an_engine_that_is_wrong_is_convicted(home: Path, variant: str, kinds: set[str]) -> None:
    found = campaign_of(home, variant, 10).findings
    assert kinds & {kind for kind, texts in vars(found).items() if texts}, found

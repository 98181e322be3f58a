"""Questions to the venue are inputs: a rerun asks the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from mmats._core import REPORT_DTYPE, RecordKind, ReportKind
from mmats.config import load_config
from mmats.engine.rerun import image_hash, rerun
from mmats.engine.session import Input, Session
from tests.fakes.backtests import config
from tests.fakes.execution import QUERY
from tests.fakes.live import TICKS, bar

BUYER = """
from mmats.model import Strategy, TradeSignal


class Buyer(Strategy):
    name = "buyer"

    def on_market_data(self, data):
        return TradeSignal("BUY", data.symbol, 1, order_type="limit", price=data.close - 1)
"""


def test_questions_to_the_venue_are_asked_again(tmp_path: Path) -> None:
    (tmp_path / "buyer.py").write_text(BUYER)
    plain: dict[str, Any] = config("buyer", table={"source": "buyer.py:Buyer"})
    plain["engine"] = {"mode": "operator", "venue": "rehearsal"}
    session = Session(load_config(plain, base_dir=tmp_path))
    events = bar(1, TICKS)
    session.events(events)
    now_ns = session.pipeline.now_ns
    port = session.port
    assert port is not None
    (request,) = port.take_requests(10)
    answer = np.zeros(1, REPORT_DTYPE)
    answer["kind"], answer["order_id"] = int(ReportKind.REPORT_ACCEPTED), request["order_id"]
    answer["leaves_lots"] = request["quantity_lots"]
    session.reports(answer, now_ns)
    assert session.reconcile(now_ns) == 1
    assert not (session.journal.take()["kind"] == int(RecordKind.RECORD_UNKNOWN)).any()
    assert session.resync(now_ns + 1) == 1
    (record,) = session.journal.take()
    assert record["kind"] == int(RecordKind.RECORD_UNKNOWN)
    assert [int(row["kind"]) for row in port.take_requests(10)] == [QUERY, QUERY]

    def inputs() -> Iterator[tuple[int, int, bytes]]:
        start = {"run": "r", "config": plain, "base_dir": str(tmp_path)}
        yield Input.START, 0, orjson.dumps(start)
        yield Input.IMAGE, 0, b""
        yield Input.EVENTS, 0, events.tobytes()
        yield Input.REPORTS, now_ns, answer.tobytes()
        yield Input.RECONCILE, now_ns, b""
        yield Input.RESYNC, now_ns + 1, b""

    again = rerun(inputs())
    assert again.fault == ""
    assert again.image_hash == image_hash(session.image())

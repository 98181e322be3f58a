"""Logs: one JSON line each, ids that can be followed, no secret in any form, never blocking."""

import base64
import contextlib
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from mmats.engine.logs import LogOptions, Logs, bind_ids, get_logger
from mmats.engine.redaction import encoded_forms
from mmats.engine.rotation import RotatingFile
from mmats.model.secret import Secret

CANARY = 'Canary+"/Zürich\\ 7f3a!'
PLAIN_CANARY = "canary-0123456789abcdef"


@contextlib.contextmanager
def logging_to(folder: Path, **options: Any) -> Iterator[Logs]:
    """Logs of this process for the time of a test."""
    levels = {n: logging.getLogger(n).level for n in ("", "urllib3", "ccxt.base.exchange")}
    logs = Logs(folder, "engine", run="run-1", options=LogOptions(**options)).start()
    try:
        yield logs
    finally:
        logs.close()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def lines(folder: Path) -> list[dict[str, Any]]:
    """All lines, oldest first."""
    files = sorted(folder.glob("engine.jsonl*"), reverse=True)
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_line_has_its_fields_and_ids(tmp_path: Path) -> None:
    with logging_to(tmp_path):
        with bind_ids(signal_id=7, command_id="c-1"):
            get_logger("risk").info("denied", observed=np.int64(5), limit=3.5, symbol="BTCUSDT")
        get_logger("risk").debug("too fine")
        logging.getLogger("adapter").warning("%d frames lost", 3, extra={"feed": 2})
    first, second = lines(tmp_path)
    assert first.pop("ts").endswith("Z")
    assert first == {
        "level": "info",
        "event": "denied",
        "run": "run-1",
        "component": "risk",
        "signal_id": 7,
        "command_id": "c-1",
        "observed": 5,
        "limit": 3.5,
        "symbol": "BTCUSDT",
    }
    assert (second["component"], second["event"], second["feed"]) == ("adapter", "3 frames lost", 2)
    assert (tmp_path / "engine.jsonl").stat().st_mode & 0o777 == 0o600


def test_exceptions_have_places_and_causes_but_no_locals(tmp_path: Path) -> None:
    def fail(local: str) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    with logging_to(tmp_path):
        try:
            fail("a-local-value")
        except ValueError:
            get_logger("loop").exception("failed")
            logging.getLogger("std").exception("failed too")
    first, second = lines(tmp_path)
    assert first["level"] == "error"
    assert [(e["type"], e["message"]) for e in first["exception"]] == [
        ("ValueError", "outer"),
        ("KeyError", "'inner'"),
    ]
    assert first["exception"][0]["frames"][-1].endswith(" fail")
    assert second["exception"][0]["type"] == "ValueError"
    assert "a-local-value" not in (tmp_path / "engine.jsonl").read_text()


class Exchange:
    """Stands for a client library's object with keys inside."""

    def __init__(self) -> None:
        self.secret = CANARY

    def __repr__(self) -> str:
        return f"Exchange({self.secret})"


class Careless(Exception):
    """Tells a secret in its message."""


def log_everything(canary: str) -> None:
    """Log a canary in every way there is."""
    log = get_logger("canary")
    std = logging.getLogger("canary.std")
    basic = base64.b64encode(f"user:{canary}".encode()).decode()
    forms = [canary, canary.encode().hex(), quote(canary), basic, repr(canary), json.dumps(canary)]
    for form in forms:
        log.info(
            f"event {form}", text=form, nested={"a": [form, {form: (form,)}]}, raw=form.encode()
        )
        std.warning("message %s", form, extra={"detail": form})
        std.warning("wrong %d format", form)
    log.warning("typed", secret=Secret(canary), items=[Secret(canary)], text=f"{Secret(canary)}")
    log.info("object", exchange=Exchange(), api_key="short1", headers={"Authorization": "abc"})
    std.debug("secret=%s", canary)
    try:
        try:
            raise Careless(f"GET /order?signature={canary}")
        except Careless as error:
            raise RuntimeError(error, Exchange()) from error
    except RuntimeError:
        log.exception("request failed")
        std.exception("request failed")
    with bind_ids(command_id=canary):
        log.critical("bound")
    thread = threading.Thread(target=lambda: log.info(1 // len("")) or fail_with(canary))
    thread.start()
    thread.join()
    failing = threading.Thread(target=fail_with, args=(canary,))
    failing.start()
    failing.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"careless {canary}", stacklevel=1)


def fail_with(text: str) -> None:
    """Raise where nobody catches."""
    raise Careless(text)


@pytest.mark.parametrize("canary", [CANARY, PLAIN_CANARY])
def test_no_canary_in_any_byte(
    canary: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Secret(canary)
    with logging_to(tmp_path, level="debug", echo="debug") as logs:
        log_everything(canary)
    assert logs.failed == 0
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    captured = capfd.readouterr()
    written += captured.out.encode() + captured.err.encode()
    assert written.count(b"***") > 30
    found = [form for form in encoded_forms([canary]) if form.encode() in written]
    assert found == []
    assert canary.encode().hex().encode() not in written.lower()
    assert b"short1" not in written
    assert b'"abc"' not in written


def test_an_uncaught_exception_is_logged_and_told_without_the_secret(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mmats.engine.logs import Logs\n"
        "from mmats.model.secret import Secret\n"
        "logs = Logs(Path(sys.argv[1]), 'engine').start()\n"
        f"Secret({PLAIN_CANARY!r})\n"
        "import atexit; atexit.register(logs.close)\n"
        f"raise RuntimeError('lost ' + {PLAIN_CANARY[:8]!r} + {PLAIN_CANARY[8:]!r})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr == "engine: RuntimeError: lost ***; see engine.jsonl\n"
    (line,) = lines(tmp_path)
    assert (line["event"], line["exception"][0]["message"]) == ("uncaught", "lost ***")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /x?symbol=A&signature=00ff&a=1", "GET /x?symbol=A&signature=***&a=1"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'apiKey': 'k1', 'n': 1}", "{'apiKey': '***', 'n': 1}"),
        ("password = hunter2; next", "password = ***; next"),
        ("tokens are fine", "tokens are fine"),
    ],
)
def test_names_in_texts(tmp_path: Path, text: str, expected: str) -> None:
    with logging_to(tmp_path):
        get_logger("x").info(text)
    assert lines(tmp_path)[0]["event"] == expected


def test_loud_libraries_are_kept_down(tmp_path: Path) -> None:
    with logging_to(tmp_path, level="debug"):
        logging.getLogger("ccxt.base.exchange").debug("headers and all")
        logging.getLogger("urllib3.connectionpool").info("GET /secret-path")
        logging.getLogger("other").debug("fine")
    assert [line["event"] for line in lines(tmp_path)] == ["fine"]


def test_a_full_queue_drops_counts_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()
    original = RotatingFile.write

    def slow(file: RotatingFile, text: str) -> None:
        stuck.wait(20)
        original(file, text)

    monkeypatch.setattr(RotatingFile, "write", slow)
    with logging_to(tmp_path, queue_lines_max=10) as logs:
        log = get_logger("x")
        for number in range(100):
            log.info("line", number=number)
        assert logs.dropped >= 89
        stuck.set()
    told = sum(line["count"] for line in lines(tmp_path) if line["event"] == "log.dropped")
    assert told == logs.dropped
    assert len(lines(tmp_path)) - 1 + told == 100


def test_a_disk_that_fails_does_not_stop_anyone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(file: RotatingFile, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RotatingFile, "write", full)
    with logging_to(tmp_path) as logs:
        get_logger("x").info("one")
        get_logger("x").info("two")
    assert logs.failed == 2
    assert capfd.readouterr().err == "engine: can't log: OSError\n"


def test_files_rotate_by_size(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a", 10, 2)
    for text in ("11111\n", "222\n", "33333\n", "44444\n", "55555555555555\n", "6\n"):
        file.write(text)
    file.close()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "a": "6\n",
        "a.1": "55555555555555\n",
        "a.2": "44444\n",
    }
    again = RotatingFile(tmp_path / "a", 10, 0)
    again.write("777777777\n")
    again.close()
    assert (tmp_path / "a").read_text() == "777777777\n"


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(PLAIN_CANARY)
    assert f"{secret} {secret!r} {secret:>40}" == "*** *** ***"
    assert secret.reveal() == PLAIN_CANARY
    assert secret == Secret(PLAIN_CANARY)
    assert secret != Secret("other-value")
    assert secret != PLAIN_CANARY
    assert not Secret("")
    with pytest.raises(TypeError, match="not pickled"):
        secret.__reduce__()

"""Metrics of a process: registered, sampled, published, and served on loopback only."""

import http.client
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mmats.engine.exposition import MetricsEndpoint
from mmats.engine.metrics import EngineMetrics, Metrics, SessionUptime
from mmats.model.errors import ConfigError

S = 10**9


@pytest.fixture
def metrics() -> Metrics:
    result = EngineMetrics()
    result.watch_queue("commands", lambda: 3)
    result.watch_queue("feed", lambda: 9)
    result.counter("frames", "Frames taken").add(12)
    for value_ns in (50, 100, 1_000_000):
        result.tick_to_order.record(value_ns)
    result.sample()
    return result


@pytest.fixture
def endpoint(metrics: Metrics) -> Iterator[MetricsEndpoint]:
    server = MetricsEndpoint(metrics)
    server.start()
    yield server
    server.close()


def get(endpoint: MetricsEndpoint, path: str, host: str) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=20)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_a_sample_has_everything(metrics: Metrics) -> None:
    sample = metrics.last
    assert sample["queue_depth.commands"] == 3
    assert sample["frames"] == 12
    order = sample["tick_to_order_ns"]
    assert isinstance(order, dict)
    assert (order["count"], order["max_ns"]) == (3, 1_000_000)
    assert sample["uptime_s"] == 0
    assert sample["rss_bytes"] > 1_000_000  # type: ignore[operator]
    assert sample["open_fds"] > 2  # type: ignore[operator]
    assert {"tick_to_signal_ns", "journal_commit_ns", "loop_lag_ns"} <= sample.keys()
    assert list(sample) == sorted(sample)


def test_names_are_checked_and_shared() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="no name"):
        metrics.counter("Frames!", "")
    assert metrics.counter("frames", "taken") is metrics.counter("frames", "taken")


def test_prometheus_reads_the_endpoint(endpoint: MetricsEndpoint) -> None:
    status, body = get(endpoint, "/metrics", f"localhost:{endpoint.port}")
    assert status == 200
    families = {f.name: f for f in text_string_to_metric_families(body)}
    assert families["mmats_frames"].type == "counter"
    depths = {s.labels["name"]: s.value for s in families["mmats_queue_depth"].samples}
    assert depths == {"commands": 3, "feed": 9}
    order = families["mmats_tick_to_order_ns"]
    assert order.type == "summary"
    values = {(s.name, s.labels.get("quantile")): s.value for s in order.samples}
    assert values["mmats_tick_to_order_ns_count", None] == 3
    assert values["mmats_tick_to_order_ns", "1"] == 1_000_000


def test_only_its_own_page_and_names(endpoint: MetricsEndpoint) -> None:
    assert get(endpoint, "/", "127.0.0.1")[0] == 404
    assert get(endpoint, "/metrics", "evil.example")[0] == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "", "example.org"])  # noqa: S104
def test_only_loopback_is_bound(host: str) -> None:
    with pytest.raises(ConfigError, match="this machine only"):
        MetricsEndpoint(Metrics(), host)


def test_a_taken_port_is_told(endpoint: MetricsEndpoint) -> None:
    with pytest.raises(ConfigError, match="can't be used"):
        MetricsEndpoint(Metrics(), port=endpoint.port)


def test_uptime_of_a_session() -> None:
    uptime = SessionUptime()
    uptime.observe(0, "", up=False)
    uptime.observe(5 * S, "monday", up=True)
    assert uptime.share == 1.0
    uptime.observe(8 * S, "monday", up=False)
    uptime.observe(9 * S, "monday", up=True)
    assert uptime.share == 0.75
    uptime.observe(9 * S, "tuesday", up=False)
    uptime.observe(10 * S, "tuesday", up=False)
    assert uptime.share == 0.0
    uptime.observe(11 * S, "", up=False)
    assert uptime.share == 1.0

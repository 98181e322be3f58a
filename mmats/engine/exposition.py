"""The metrics for Prometheus, over HTTP on this machine only."""

import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from mmats.engine.metrics import Metrics
from mmats.model.errors import ConfigError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_S_MAX = 5.0
_QUANTILES = (("0.5", "p50_ns"), ("0.9", "p90_ns"), ("0.99", "p99_ns"), ("1", "max_ns"))
_HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")


class MetricsCollector(Collector):
    """The last sample of `metrics` as Prometheus sees it: `mmats_` and the name, label `name`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Nothing is known before the first sample."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield one family a name."""
        families: dict[str, Metric] = {}
        for key, value in self._metrics.last.items():
            name, _, label = key.partition(".")
            kind = self._metrics.kind(key)
            full = f"mmats_{name}"
            family = families.setdefault(full, Metric(full, self._metrics.help[name], kind))
            labels = {"name": label} if label else {}
            if isinstance(value, dict):
                for quantile, field in _QUANTILES:
                    family.add_sample(full, {**labels, "quantile": quantile}, value[field])
                family.add_sample(f"{full}_count", labels, value["count"])
                family.add_sample(f"{full}_sum", labels, value["sum_ns"])
            else:
                family.add_sample(f"{full}_total" if kind == "counter" else full, labels, value)
        yield from families.values()


class MetricsEndpoint:
    """Serves `GET /metrics` on a thread of its own.

    Parameters
    ----------
    metrics : whoever owns them takes the samples; this only reads the last one
    host : an address of the loopback interface
    port : 0 lets the system choose; `port` is then the chosen one

    Raises
    ------
    ConfigError
        The host is not on the loopback interface, or the port is taken.
    """

    def __init__(self, metrics: Metrics, host: str = "127.0.0.1", port: int = 0) -> None:
        if not _is_loopback(host):
            raise ConfigError(
                f"metrics are served on this machine only, not on {host}",
                "metrics.host",
                "use 127.0.0.1, and a tunnel to read them from elsewhere",
            )
        registry = CollectorRegistry(auto_describe=False)
        registry.register(MetricsCollector(metrics))

        class Handler(_Handler):
            source = registry

        try:
            self._server = HTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigError(
                f"port {port} of {host} can't be used: {error.strerror}", "metrics.port"
            ) from error
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    source: CollectorRegistry
    timeout = REQUEST_S_MAX  # a client that says nothing does not keep the thread
    server_version = "mmats"
    sys_version = ""

    def do_GET(self) -> None:
        # A page of a browser that made its own name point here must not read it.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _HOST_NAMES or self.path != "/metrics":
            self.send_error(404 if host in _HOST_NAMES else 403)
            return
        body = generate_latest(self.source)
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request every few seconds is no news."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False

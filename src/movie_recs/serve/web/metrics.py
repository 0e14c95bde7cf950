"""Metrics for Prometheus: requests and their times, the models that are served, and the process."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movie_recs.serve.current import Current

SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """All metrics of one service."""

    def __init__(self, current: Current):
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Served(current))
        self.requests = Counter(
            "movie_recs_requests", "Requests answered", ["method", "path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "movie_recs_request_seconds", "Time of an answer", ["path"], buckets=SECONDS, registry=self._registry
        )

    def text(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self._registry)


class Measured:
    """An ASGI middleware that counts and times requests, by the route's path, not by what a client writes."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self._metrics.requests.labels(method, path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)


class _Served(Collector):
    """What is served, read when it is asked for."""

    def __init__(self, current: Current):
        self._current = current

    def collect(self) -> Iterator[Metric]:
        """Versions, times and reloads."""
        snapshot = self._current.snapshot
        labels = {"dataset": self._current.places.dataset, **snapshot.versions}
        yield InfoMetricFamily("movie_recs_model", "The versions that are served", labels)
        yield GaugeMetricFamily("movie_recs_loaded_timestamp_seconds", "When they were loaded", snapshot.loaded_at)
        yield CounterMetricFamily("movie_recs_loads", "Versions taken up", self._current.loads)
        yield CounterMetricFamily("movie_recs_load_failures", "Versions that could not be read", self._current.failures)

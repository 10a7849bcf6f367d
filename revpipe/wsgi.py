"""The web process under gunicorn."""

from dataclasses import replace
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from config.settings import Settings
from revpipe import interpreter, lifeline, observability, secret_key
from revpipe.bootstrap import for_web
from revpipe.web.app import create_app

THREADS = 8
CONNECTIONS = 4


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured here and not by a file. Each worker process makes its own app, after the fork."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self._settings = settings
        self._options: dict[str, Any] = {
            "bind": f"{host}:{port}",
            "workers": workers,
            "threads": THREADS,
            "worker_class": "gthread",
            "timeout": 30,
            "graceful_timeout": 20,
            "keepalive": 75,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "max_requests": 20_000,
            "max_requests_jitter": 2_000,
            "limit_request_line": 4_094,
            "control_socket_disable": True,
            "when_ready": lambda _server: lifeline.watch(),
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn our options."""
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """The app of one worker process."""
        observability.configure(self._settings, "web")
        app = create_app(for_web(self._settings, connections=CONNECTIONS))
        interpreter.settle()
        return app


def serve(settings: Settings, host: str, port: int, workers: int) -> None:
    """Serve until told to stop. A fault in the settings or in config/ shows here, before anything listens."""
    settings = replace(settings, secret_key=secret_key.of(settings))
    for_web(settings).engine.dispose()
    Server(settings, host, port, workers).run()

"""The Flask application: all vendors under one roof, with the faults in front of and behind them."""

import contextlib
import socket
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from adapters.sandbox import anthropic, control, control_hubspot, control_slack, gong, hubspot, openai, slack
from adapters.sandbox.faults import OF_MODELS, Fault
from adapters.sandbox.world import WORLD, World, here

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PREFIXES = {
    "hubspot": "/hubspot",
    "gong": "/gong",
    "slack": "/slack/api",
    "anthropic": "/anthropic",
    "openai": "/openai",
}
_MODULES = {"hubspot": hubspot, "gong": gong, "slack": slack, "anthropic": anthropic, "openai": openai}


class SandboxApp(Flask):
    """Answers one request at a time, so that stores need no locks; waiting and posting go on outside."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view under the world's lock, unless it is one that calls out."""
        if request.endpoint in control_hubspot.UNLOCKED | control_slack.UNLOCKED:
            return super().dispatch_request()
        with here().lock:
            return super().dispatch_request()


def create_app(world: World) -> "WSGIApplication":
    """The sandbox as a WSGI application."""
    app = _app()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return app(environ | {WORLD: world}, start_response)

    return answer


@cache
def _app() -> Flask:
    """The one that serves every world: it keeps nothing, and to compile its routes takes a tenth of a second."""
    app = SandboxApp("sandbox", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.before_request(_before)
    app.after_request(_after)
    app.register_error_handler(HTTPException, _http_error)
    for vendor, module in _MODULES.items():
        app.register_blueprint(module.blueprint(), url_prefix=PREFIXES[vendor])
    app.register_blueprint(control.blueprint(), url_prefix="/_sandbox")
    app.register_blueprint(control_hubspot.blueprint(), url_prefix="/_sandbox/hubspot")
    app.register_blueprint(control_slack.blueprint(), url_prefix="/_sandbox/slack")
    return app


def _before() -> Response | None:
    request.get_data(cache=True, parse_form_data=False)
    vendor = next((name for name, prefix in PREFIXES.items() if request.path.startswith(prefix + "/")), None)
    if vendor is None:
        return None
    path = request.path.removeprefix(PREFIXES[vendor])
    fault = here().faults.take(vendor, request.method, path)
    return _strike(fault, vendor) if fault else None


def _strike(fault: Fault, vendor: str) -> Response | None:
    """What a fault does before the vendor acts; None lets the call go on."""
    world = here()
    if fault.kind == "latency":
        world.wait(fault.seconds)
    elif fault.kind == "late_effect":
        world.wait(fault.hang)
        _hang_up()
        world.wait(fault.seconds - fault.hang)
    elif fault.kind == "close":
        _hang_up()
        return make_response("", 502)
    elif fault.kind == "rate_limit":
        response = _shaped(vendor, 429)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = f"{fault.retry_after:g}"
        return response
    elif fault.kind in ("error", "outage"):
        return _shaped(vendor, 503 if fault.kind == "outage" else fault.status)
    else:
        g.fault = fault
    return None


def _after(response: Response) -> Response:
    """What a fault does once the vendor has acted."""
    fault: Fault | None = g.get("fault")
    if fault is None or fault.kind in OF_MODELS:
        return response
    if fault.kind == "malformed":
        whole = response.get_data()
        response.set_data(whole[: len(whole) // 2])
        return response
    here().wait(fault.seconds)
    _hang_up()
    return make_response("", 504)


def _hang_up() -> None:
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection is None:
        return
    with contextlib.suppress(OSError):  # The client may have been faster.
        connection.shutdown(socket.SHUT_RDWR)


def _shaped(vendor: str, status: int) -> Response:
    """An error body as the vendor writes it."""
    bodies: dict[str, dict[str, Any]] = {
        "hubspot": {"status": "error", "message": f"Simulated answer {status}"},
        "gong": {"requestId": "sandbox", "errors": [f"Simulated answer {status}"]},
        "slack": {"ok": False, "error": "ratelimited" if status == 429 else "internal_error"},
        "anthropic": anthropic.error_body(status, f"Simulated answer {status}"),
        "openai": openai.error_body(status, f"Simulated answer {status}"),
    }
    if vendor == "hubspot" and status == 429:
        bodies["hubspot"] |= {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
    return make_response(jsonify(bodies[vendor]), status)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    return make_response(jsonify({"status": "error", "message": error.description, "path": request.path}), status)

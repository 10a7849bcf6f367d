"""The console's pages, all of them, and how it tells of errors."""

from flask import Flask

from revpipe.web.console import approval, approvals, bulk, editing, faults, overview, signal


def register(app: Flask) -> None:
    """Put the console into the app; after the handlers of errors, whose place it takes for people."""
    for module in (overview, approvals, approval, editing, bulk, signal):
        app.register_blueprint(module.blueprint)
    faults.install(app)

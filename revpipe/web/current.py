"""The services of the app that answers."""

from flask import current_app

from revpipe.ingest import Intake
from revpipe.services import Services


def services() -> Services:
    """What `create_app` was given."""
    found: Services = current_app.extensions["revpipe"]
    return found


def intake() -> Intake:
    """What takes webhooks in."""
    found: Intake = current_app.extensions["revpipe-intake"]
    return found

"""The services of the app that answers."""

from flask import current_app

from revpipe.services import Services


def services() -> Services:
    """What `create_app` was given."""
    found: Services = current_app.extensions["revpipe"]
    return found

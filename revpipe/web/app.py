"""The Flask app: webhooks in, health out."""

from flask import Flask

from revpipe.ingest import Intake
from revpipe.offering import Offering
from revpipe.services import Services
from revpipe.web import errors, front, health, imports, metrics, webhooks

MAX_BODY = 1_000_000


def create_app(services: Services) -> Flask:
    """The web process over `services`. A body over 1 MB is refused before anything reads it."""
    app = Flask("revpipe.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.extensions["revpipe"] = services
    app.extensions["revpipe-intake"] = Intake(services, Offering(services).soon)
    app.register_blueprint(webhooks.blueprint)
    app.register_blueprint(imports.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(front.blueprint)
    app.register_blueprint(metrics.blueprint)
    errors.register(app)
    return app

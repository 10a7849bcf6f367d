"""The Flask app: webhooks in, health out, and what signed-in people may see and do."""

from flask import Flask

from revpipe.ingest import Intake
from revpipe.offering import Offering
from revpipe.services import Services
from revpipe.users import secret
from revpipe.web import (
    access,
    account,
    csrf,
    errors,
    front,
    headers,
    health,
    imports,
    links,
    look,
    metrics,
    provider,
    refusals,
    sign_in,
    slack,
    webhooks,
)
from revpipe.web.api import document, rates
from revpipe.web.console import pages

MAX_BODY = 1_000_000


def create_app(services: Services) -> Flask:
    """The web process over `services`. A body over 1 MB is refused before anything reads it.

    Without a SECRET_KEY the app makes one of its own, which no other process of ours knows.
    """
    app = Flask("revpipe.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["MOST_FILE_BYTES"] = imports.MOST_BYTES
    app.secret_key = services.settings.secret_key or secret.fresh()
    app.extensions["revpipe"] = services
    app.extensions["revpipe-intake"] = Intake(services, Offering(services).soon)
    headers.install(app)
    csrf.install(app)
    rates.install(app, services)
    access.install(app)
    for module in (slack, links, webhooks, imports, health, front, metrics, sign_in, provider, account):
        app.register_blueprint(module.blueprint)
    document.install(app)
    errors.register(app)
    refusals.install(app)
    look.register(app)
    pages.register(app)
    access.check(app)
    return app

"""`/console/signals/<id>`: one signal from the raw request to the effect, each thing with its cause."""

import uuid
from typing import Final

from flask import Blueprint, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response as Answer

from revpipe import causes, queries
from revpipe.db import transaction
from revpipe.story.causal import Causal
from revpipe.story.words import span
from revpipe.web.access import allowed, own_only
from revpipe.web.console import told, whose
from revpipe.web.console.fields import fields
from revpipe.web.current import services

blueprint = Blueprint("console_signal", __name__, url_prefix="/console/signals")
LONGEST: Final = 200
"""Characters of an id."""


@blueprint.get("/<name>")
@allowed("signals.read")
def show(name: str) -> str | Answer:
    """The causal page. The id of an action, a delivery, a correlation or a dead letter leads to its signal's page."""
    signal_id = _named(name)
    if str(signal_id) != name:
        own_only()
        return redirect(url_for("console_signal.show", name=signal_id), 303)
    found = _read(signal_id)
    return render_template(
        "console/signal.html",
        found=found,
        rules=told.rules(found),
        span=span,
        text=told.text,
        inline=told.inline,
        words=told.words,
        fields=fields,
        edits=told.edits,
    )


@blueprint.get("/<uuid:signal_id>/why-not/<rule_id>")
@allowed("signals.read")
def why_not(signal_id: uuid.UUID, rule_id: str) -> str:
    """Why a rule did not fire, and the smallest change that would have made it fire."""
    found = _read(signal_id)
    if rule_id not in {one.rule_id for one in told.rules(found).all}:
        abort(404, "No rule of that name was asked about this signal.")
    return render_template(
        "console/why_not.html",
        found=found,
        rule_id=rule_id,
        answer=told.answer(services(), found, rule_id),
        text=told.text,
    )


def _named(name: str) -> uuid.UUID:
    signals: list[uuid.UUID] = []
    if len(name) <= LONGEST:
        with transaction(services().engine) as tx:
            signals = queries.signals_named(tx, name)
    if not signals:
        abort(404, "No signal has that id, nor an action, delivery, correlation or dead letter of one.")
    return signals[0]


def _read(signal_id: uuid.UUID) -> Causal:
    with transaction(services().engine) as tx:
        found = causes.of_signal(services(), tx, signal_id)
    return whose.visible_signal(found)

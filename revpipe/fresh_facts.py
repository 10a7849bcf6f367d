"""The context of signals as it is now: every provider is asked, and nothing that was fetched before is used."""

import uuid
from collections.abc import Mapping, Sequence

import structlog

from revpipe.errors import RevpipeError, Transient
from revpipe.ports import Part, Parts, Provider
from revpipe.services import Services
from revpipe.signals import Signal

log = structlog.get_logger(__name__)

Outcome = Parts | RevpipeError


def ask(signals: Sequence[Signal], calls: Mapping[uuid.UUID, Part], services: Services) -> dict[uuid.UUID, Outcome]:
    """For each signal the parts that its event needs, or the error that kept one of them from being known.

    Here a part that can't be had now is never left out: to act on what one does not know is what this is to prevent.
    `calls` are those that the ledger knows of.
    """
    found: dict[uuid.UUID, dict[str, Part]] = {
        one.signal_id: {"calls": calls[one.signal_id]} if one.signal_id in calls else {} for one in signals
    }
    broken: dict[uuid.UUID, RevpipeError] = {}
    for provider in services.providers:
        wanted = {one.signal_id: services.needs.of(one).wanted & set(provider.parts) for one in signals}
        asked = [one for one in signals if wanted[one.signal_id] and one.signal_id not in broken]
        for signal_id, outcome in _answers(provider, asked, wanted).items():
            error = outcome if isinstance(outcome, RevpipeError) else _unknown(outcome)
            if error is not None:
                broken[signal_id] = error
            elif not isinstance(outcome, RevpipeError):
                found[signal_id].update(outcome)
    return {key: broken.get(key) or parts for key, parts in found.items()}


def _answers(
    provider: Provider, asked: Sequence[Signal], wanted: Mapping[uuid.UUID, frozenset[str]]
) -> dict[uuid.UUID, Outcome]:
    if not asked:
        return {}
    try:
        answers = provider.fetch(asked, {one.signal_id: wanted[one.signal_id] for one in asked})
    except RevpipeError as error:
        return {one.signal_id: error for one in asked}
    except Exception:
        # A fault of ours is no reason to act on old facts: the actions wait, and are buried if it is not mended.
        log.exception("provider_broke", provider=provider.name, signals=len(asked))
        broke = Transient(f"{provider.name} broke")
        return {one.signal_id: broke for one in asked}
    silent = Transient(f"{provider.name} gave no answer for this signal")
    return {one.signal_id: answers.get(one.signal_id, silent) for one in asked}


def _unknown(parts: Parts) -> RevpipeError | None:
    """The error behind the first part that is not known to the end."""
    for name, part in parts.items():
        if not part.complete:
            return part.error or Transient(f"{part.provider} could not tell the {name}: {part.missing}")
    return None

"""What stands between a model's answer and the ledger. Whoever can write into a CRM, a call or a mail can write into
the question, so the answer is taken for what a stranger may have dictated.

Each guard either refuses the answer as a whole (Breach) or gives it back with what must not be in it taken out. They
are functions in a tuple, so that a test can leave any one out and see what then gets through.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from revpipe.llm.answer import Answer, Proposal
from revpipe.llm.masking import EMAIL, PHONE, UNSEEN
from revpipe.llm.policy import LlmPolicy
from revpipe.llm.scope import Scope

LEAK_WORDS: Final = 8
"""So many words in a row out of our instructions are no accident."""
_LINK: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.|mailto:|javascript:|data:)\S+"
    r"|(?<![\w@.])(?:[\w-]+\.)+(?:[a-z]{2,24})(?:/\S*)?(?![\w.])",
    re.IGNORECASE,
)
_MARKUP: Final = re.compile(
    r"<[!/@#a-z][^<>]*>"
    r"|!?\[([^\[\]]*)\]\([^()]*\)"
    r"|(?<!\w)@(?:channel|here|everyone)\b"
    r"|\{\{.*?\}\}|\{%.*?%\}|[`*_~]{2,}",
    re.IGNORECASE | re.DOTALL,
)
_UNSEEN: Final = re.compile(rf"[^\S \n]|[{UNSEEN}]")
GONE: Final = "(removed)"


class Breach(Exception):
    """The answer oversteps what it may say; `code` is the stable word for how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer is held against."""

    scope: Scope
    policy: LlmPolicy


Guard = Callable[[Answer, Bounds], Answer]


def few_enough(answer: Answer, bounds: Bounds) -> Answer:
    """No flood of actions."""
    if len(answer.actions) > bounds.policy.most_actions:
        raise Breach("too_many_actions")
    return answer


def allowed_types(answer: Answer, bounds: Bounds) -> Answer:
    """Only types that policy lists for models."""
    if any(one.type not in bounds.policy.actions for one in answer.actions):
        raise Breach("unknown_action")
    return answer


def known_ids(answer: Answer, bounds: Bounds) -> Answer:
    """Only the records that the question was about, each as what it is."""
    scope = bounds.scope
    for one in answer.actions:
        named = ((one.deal_id, scope.deal_id), (one.account_id, scope.account_id), (one.contact_id, scope.contact_id))
        if any(id is not None and id != known for id, known in named):
            raise Breach("invented_id")
    return answer


def known_recipient(answer: Answer, bounds: Bounds) -> Answer:
    """A mail goes to the contact that the question was about, or to nobody yet."""
    if any(one.to not in (None, bounds.scope.contact_id) for one in answer.actions):
        raise Breach("foreign_recipient")
    return answer


def asks_a_person(answer: Answer, bounds: Bounds) -> Answer:
    """A model may ask for more care than policy does, never for less."""
    free = bounds.policy.without_approval
    held = (replace(one, needs_approval=one.needs_approval or one.type not in free) for one in answer.actions)
    return replace(answer, actions=tuple(held))


def keeps_instructions(answer: Answer, bounds: Bounds) -> Answer:
    """Our instructions stay here: not a stretch of them, nor the word that marks them."""
    said = " ".join(_words(" ".join((answer.reason, *(f"{one.subject} {one.text}" for one in answer.actions)))))
    ours = _words(bounds.scope.system)
    stretches = (" ".join(ours[at : at + LEAK_WORDS]) for at in range(len(ours) - LEAK_WORDS + 1))
    if " ".join(_words(bounds.scope.canary)) in said or any(stretch in said for stretch in stretches):
        raise Breach("leaked_instructions")
    return answer


def no_unseen_characters(answer: Answer, bounds: Bounds) -> Answer:  # noqa: ARG001
    """Nothing that a reader can't see, and a subject of one line: a mail's header ends where its line does."""
    seen = _with_texts(answer, lambda text: _UNSEEN.sub(" ", text.replace("\r\n", "\n")))
    one_line = (replace(one, subject=" ".join(one.subject.split())) for one in seen.actions)
    return replace(seen, actions=tuple(one_line))


def no_markup(answer: Answer, bounds: Bounds) -> Answer:  # noqa: ARG001
    """Plain text: no HTML, no Markdown links, no Slack mentions, no template."""
    return _with_texts(answer, lambda text: _MARKUP.sub(lambda found: found.group(1) or GONE, text))


def no_links(answer: Answer, bounds: Bounds) -> Answer:  # noqa: ARG001
    """No web addresses: a link can carry the question's data out with the click of whoever reads it."""
    return _with_texts(answer, lambda text: _LINK.sub(GONE, text))


def no_addresses(answer: Answer, bounds: Bounds) -> Answer:  # noqa: ARG001
    """No mail addresses and phone numbers: whom to write to or call is never a model's to say."""
    return _with_texts(answer, lambda text: PHONE.sub(GONE, EMAIL.sub(GONE, text)))


GUARDS: Final[tuple[Guard, ...]] = (
    few_enough,
    allowed_types,
    known_ids,
    known_recipient,
    asks_a_person,
    keeps_instructions,
    no_unseen_characters,
    no_markup,
    no_addresses,
    no_links,
)
"""In this order: addresses before links, since an address looks like a link without its first half."""


def passed(answer: Answer, bounds: Bounds, guards: Sequence[Guard] = GUARDS) -> Answer:
    """The answer as it may be acted on. Raises Breach."""
    for guard in guards:
        answer = guard(answer, bounds)
    return answer


def _with_texts(answer: Answer, change: Callable[[str], str]) -> Answer:
    """The answer with all its texts changed; one that nothing is left of is told as removed."""

    def changed(text: str) -> str:
        return change(text).strip() or GONE

    def one(proposal: Proposal) -> Proposal:
        return replace(proposal, subject=changed(proposal.subject), text=changed(proposal.text))

    return Answer(tuple(one(proposal) for proposal in answer.actions), changed(answer.reason))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())

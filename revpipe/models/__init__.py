"""The ledger's tables, one file each."""

from revpipe.models.action import Action
from revpipe.models.api_token import ApiToken
from revpipe.models.approval import Approval
from revpipe.models.approval_request import ApprovalRequest
from revpipe.models.approval_version import ApprovalVersion
from revpipe.models.approval_vote import ApprovalVote
from revpipe.models.balance import Balance
from revpipe.models.cached_part import CachedPart
from revpipe.models.context import Context
from revpipe.models.counter import Counter
from revpipe.models.dead_letter import DeadLetter
from revpipe.models.delivery import Delivery
from revpipe.models.file_import import FileImport
from revpipe.models.idempotency_key import IdempotencyKey
from revpipe.models.lease import Lease
from revpipe.models.llm_answer import LlmAnswer
from revpipe.models.llm_day import LlmDay
from revpipe.models.one_time_token import OneTimeToken
from revpipe.models.operator_audit import OperatorAudit
from revpipe.models.plan import Plan
from revpipe.models.quiet_period import QuietPeriod
from revpipe.models.rule_version import RuleVersion
from revpipe.models.seal import SealRow
from revpipe.models.session import Session
from revpipe.models.shadow_outcome import ShadowOutcome
from revpipe.models.sign_in_link import SignInLink
from revpipe.models.sign_in_try import SignInTry
from revpipe.models.signal import SignalRow
from revpipe.models.slack_user import SlackPress, SlackUser
from revpipe.models.superseded import Superseded
from revpipe.models.suppression import Suppression
from revpipe.models.tally import Tally
from revpipe.models.trail import TrailRow
from revpipe.models.unsealed import Unsealed
from revpipe.models.user import User

__all__ = [
    "Action",
    "ApiToken",
    "Approval",
    "ApprovalRequest",
    "ApprovalVersion",
    "ApprovalVote",
    "Balance",
    "CachedPart",
    "Context",
    "Counter",
    "DeadLetter",
    "Delivery",
    "FileImport",
    "IdempotencyKey",
    "Lease",
    "LlmAnswer",
    "LlmDay",
    "OneTimeToken",
    "OperatorAudit",
    "Plan",
    "QuietPeriod",
    "RuleVersion",
    "SealRow",
    "Session",
    "ShadowOutcome",
    "SignInLink",
    "SignInTry",
    "SignalRow",
    "SlackPress",
    "SlackUser",
    "Superseded",
    "Suppression",
    "Tally",
    "TrailRow",
    "Unsealed",
    "User",
]

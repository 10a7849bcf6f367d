"""The ledger's tables, one file each."""

from revpipe.models.action import Action
from revpipe.models.approval import Approval
from revpipe.models.balance import Balance
from revpipe.models.cached_part import CachedPart
from revpipe.models.context import Context
from revpipe.models.counter import Counter
from revpipe.models.dead_letter import DeadLetter
from revpipe.models.delivery import Delivery
from revpipe.models.file_import import FileImport
from revpipe.models.lease import Lease
from revpipe.models.operator_audit import OperatorAudit
from revpipe.models.plan import Plan
from revpipe.models.rule_version import RuleVersion
from revpipe.models.signal import SignalRow
from revpipe.models.superseded import Superseded
from revpipe.models.tally import Tally
from revpipe.models.trail import TrailRow

__all__ = [
    "Action",
    "Approval",
    "Balance",
    "CachedPart",
    "Context",
    "Counter",
    "DeadLetter",
    "Delivery",
    "FileImport",
    "Lease",
    "OperatorAudit",
    "Plan",
    "RuleVersion",
    "SignalRow",
    "Superseded",
    "Tally",
    "TrailRow",
]

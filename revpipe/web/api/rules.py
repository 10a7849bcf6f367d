"""`/api/v1/rules` and `/api/v1/rule-versions`: what decides, and what once did."""

import re
from typing import Any, Final

from flask import abort

from revpipe import rule_versions
from revpipe.db import transaction
from revpipe.rules.rule import Rule
from revpipe.web.access import allowed
from revpipe.web.api import paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.rule_schemas import Rule as RuleSchema
from revpipe.web.api.rule_schemas import RulesInUse, RuleVersionPage, RuleVersionWhole
from revpipe.web.current import services

blueprint = ApiBlueprint("rules", "/rules", "What decides.")
versions = ApiBlueprint("rule-versions", "/rule-versions", "Every rules file that ever decided something.")

KIND = "rule-versions"
NAMES: Final = ("id", "description", "owner", "mode", "on", "when", "conclusive", "urgency", "then")
_VERSION: Final = re.compile("[!-~]{1,64}")


@blueprint.route("")
@allowed("rules.read")
@blueprint.links(rule={"operationId": "rule", "parameters": {"rule_id": "$response.body#/rules/0/id"}})
@blueprint.response(200, RulesInUse)
@blueprint.doc(operationId="rules")
def list_() -> dict[str, Any]:
    """The rules in use, in the order of their file."""
    found = services().rules
    return {"version": found.version, "rules": [_rule(one) for one in found.rules]}


@blueprint.route("/<string(maxlength=64):rule_id>")
@allowed("rules.read")
@blueprint.problems(404)
@blueprint.response(200, RuleSchema)
@blueprint.doc(operationId="rule")
def show(rule_id: str) -> dict[str, Any]:
    """One rule as it is in use."""
    found = next((one for one in services().rules.rules if one.id == rule_id), None)
    if found is None:
        abort(404, "No rule in use has this id; list them with GET /api/v1/rules.")
    return _rule(found)


@versions.route("")
@allowed("rules.read")
@versions.links(
    rule_version={"operationId": "rule_version", "parameters": {"version": "$response.body#/items/0/version"}},
    next_rule_versions={"operationId": "rule_versions", "parameters": {"after": "$response.body#/next"}},
)
@versions.problems(404)
@versions.arguments(paging.Query, location="query")
@versions.response(200, RuleVersionPage)
@versions.doc(operationId="rule_versions")
def list_versions(asked: dict[str, Any]) -> dict[str, Any]:
    """Every version that ever decided something, the latest in front."""
    limit, behind = asked["limit"], paging.position(KIND, asked.get("after"))
    with transaction(services().engine) as tx:
        rows = rule_versions.listing(tx, limit + 1, behind)
    last = rows[limit - 1] if len(rows) > limit else None
    next_ = paging.cursor(KIND, last["first_seen_at"], last["version"]) if last else None
    return {"items": rows[:limit], "next": next_}


@versions.route("/<string(maxlength=64):version>")
@allowed("rules.read")
@versions.problems(404)
@versions.response(200, RuleVersionWhole)
@versions.doc(operationId="rule_version")
def show_version(version: str) -> dict[str, Any]:
    """The rules file of a version, by its id or a beginning of it that no other has."""
    found = None
    if _VERSION.fullmatch(version):
        with transaction(services().engine) as tx:
            found = rule_versions.read(tx, version)
    if found is None:
        abort(404, "No version begins so, or several do; list them with GET /api/v1/rule-versions.")
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    expires = None if rule.expires is None else rule.expires.total_seconds()
    return {
        **{name: getattr(rule, name) for name in NAMES},
        "cooldown_s": rule.cooldown.total_seconds(),
        "expires_s": expires,
    }

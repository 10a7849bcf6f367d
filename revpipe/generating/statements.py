"""The SQL that makes a batch of a generated ledger: one statement a table, whatever the batch's size.

Ids that a product's row would hash are UUIDs of version 3 here (MD5 of a name), which nothing else in the ledger makes:
that is how a generated signal is told from a real one.
"""

# ruff: noqa: S608 - nothing but texts of this very file is put together here; values are bound
from typing import Final

from revpipe.generating.mix import CIRCUIT, DRAFTS

FOREIGN: Final = "SELECT 1 FROM signals WHERE substr(CAST(signal_id AS text), 15, 1) <> '3' LIMIT 1"
"""SQL: whether the ledger holds a signal that was not generated."""


def _hashed(name: str, number: str = "n") -> str:
    """SQL: the id of thing `number` of one run, spread as evenly over all ids as a hash is."""
    words = f"md5(:run || ':{name}:' || {number})"
    return f"CAST(overlay(overlay({words} placing '3' from 13) placing '8' from 17) AS uuid)"


def _timed(name: str, at: str, number: str = "n") -> str:
    """SQL: an id of version 7 that tells `at`, so that ids made later sort later."""
    words = f"md5(:run || ':{name}:' || {number})"
    millis = f"lpad(to_hex(CAST(floor(extract(epoch FROM {at}) * 1000) AS bigint)), 12, '0')"
    return f"CAST({millis} || '7' || substr({words}, 1, 3) || '8' || substr({words}, 4, 15) AS uuid)"


MADE: Final = f"""
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
WITH kinds AS (
    SELECT * FROM jsonb_to_recordset(CAST(:kinds AS jsonb)) AS k(
        kind text, open boolean, low int, high int, state text, stage text, disposition text, reason text)
), numbered AS (
    SELECT n, CAST(:closed AS bigint) <= n AS open, CASE WHEN n < :closed THEN n / 4 ELSE n END AS g,
        (n * 7919) % 1000 AS slot, (n * 104729 % 9973) / 9973.0 AS part, n % 100 AS hundredth
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
), placed AS (
    SELECT n, g, slot, kind, state, stage, disposition, reason, numbered.open,
        slot % 3 = 0 AND kind IN ('noise', 'own_write') AS person_event,
        CASE WHEN numbered.open AND kind IN ('due', 'ready') THEN CAST(:now AS timestamptz) - part * interval '5 min'
             WHEN numbered.open THEN :now - interval '10 min' - part * interval '150 min'
             ELSE :start + (:until - CAST(:start AS timestamptz)) * (CAST(g * 4 AS float8) / :closed)
        END AS received_at,
        CASE WHEN hundredth < 3 THEN 'immediate' WHEN hundredth < 15 THEN 'high'
             WHEN hundredth < 45 THEN 'standard' ELSE 'low' END AS priority,
        CASE WHEN kind IN ('person', 'ready', 'unknown') THEN '7' ELSE '9' END || lpad(CAST(
            CASE WHEN kind IN ('person', 'ready', 'unknown') THEN :offset + n
                 ELSE abs(CAST(hashint8(n) AS bigint)) % :deals END AS text), 9, '0') AS deal
    FROM numbered JOIN kinds ON kinds.open = numbered.open AND slot >= low AND slot < high
)
SELECT n, g, kind, state, stage, disposition, reason, open, priority, received_at, person_event,
    {_hashed("signal")} AS signal_id, {_hashed("plan")} AS plan_id,
    {_timed("delivery", "received_at", "g")} AS delivery_id,
    {_timed("correlation", "received_at", "g")} AS correlation_id,
    CASE WHEN person_event THEN NULL ELSE deal END AS deal_id,
    CASE WHEN person_event THEN '5' || substr(deal, 2) END AS contact_id,
    CASE WHEN person_event THEN 'contact:5' || substr(deal, 2) ELSE 'deal:' || deal END AS subject,
    received_at - interval '1.4 s' AS fired_at,
    CASE WHEN disposition IS NULL THEN NULL WHEN kind = 'own_write' THEN received_at
         WHEN kind IN ('approved', 'rejected', 'expired') THEN received_at + interval '90 min'
         ELSE received_at + interval '700 ms' END AS done_at
FROM placed
"""

_PAYLOAD: Final = """
jsonb_build_object('property', CASE WHEN person_event THEN 'phone' ELSE 'hs_next_step' END, 'new_value',
    'to be called again about offer ' || n, 'object_type', CASE WHEN person_event THEN 'contact' ELSE 'deal' END,
    'object_id', coalesce(deal_id, contact_id), 'change_source', 'CRM_UI', 'occurred_at', fired_at,
    'vendor', jsonb_build_object('source_id', 'userId:' || n % 40, 'event_id', n, 'subscription_id', 4711))
"""
_CONTEXT: Final = """
jsonb_build_object(
    'deal', jsonb_build_object('provider', 'hubspot', 'complete', true, 'missing', NULL, 'fetched_at', received_at,
        'value', jsonb_build_object('id', deal_id, 'name', 'Renewal ' || n || ' for ' || subject, 'amount', n % 90000,
            'currency', 'EUR', 'stage', 'contractsent', 'stage_label', 'Contract sent', 'is_closed', false,
            'close_date', received_at + interval '20 days', 'owner_id', CAST(n % 40 AS text), 'pipeline', 'default',
            'last_activity_at', received_at - interval '3 days')),
    'account', jsonb_build_object('provider', 'hubspot', 'complete', true, 'missing', NULL, 'fetched_at', received_at,
        'value', jsonb_build_object('id', CAST(n % 9000 AS text), 'name', 'Customer number ' || n % 9000,
            'employees', n % 5000, 'industry', 'MANUFACTURING', 'country', 'DE',
            'domain', 'customer-' || n % 9000 || '.example')),
    'calls', jsonb_build_object('provider', 'ledger', 'complete', true, 'missing', NULL, 'fetched_at', received_at,
        'value', jsonb_build_object('recent', '[]'::jsonb, 'competitors', '[]'::jsonb, 'last_at', NULL)))
"""
_WHY: Final = """
CAST('{"fired": [], "rules": [{"rule": "overdue-close-date", "fired": false, "listened": true, "terms": [{"held": false,
"values": {"deal.days_to_close": 20}, "expression": "deal.days_to_close < 0"}]}, {"rule": "big-deal-slipping", "fired":
false, "listened": true, "terms": [{"held": false, "values": {"deal.amount": 26500}, "expression":
"deal.amount >= 50000"}]}, {"rule": "ordinary-property", "fired": true, "listened": true, "terms": [{"held": true,
"values": {"signal.event": "deal.property_changed"}, "expression": "true"}]}]}' AS jsonb)
"""
_WENT_ON: Final = "kind NOT IN ('own_write', 'due', 'parked', 'dead_enrich')"
_ACTS: Final = """
SELECT made.*, act, rule, type, adapter, acts.state AS became, acts.reason AS why, approval,
    CAST(overlay(md5(:run || ':action:' || act || ':' || n) placing '3' from 13) AS uuid) AS action_id
FROM made JOIN jsonb_to_recordset(CAST(:acts AS jsonb)) AS acts(
    act int, kind text, rule text, type text, adapter text, state text, reason text, approval text) USING (kind)
"""

FILL: Final = (
    f"""
    INSERT INTO signals (signal_id, schema_version, signal_type, event, source, account_id, deal_id, contact_id,
        payload, urgency, confidence, fired_at, received_at, delivery_id, correlation_id, priority, state, stage,
        disposition, reason, expires_at, done_at, queue, due_at, waits_for)
    SELECT signal_id, 1, 'crm_event', CASE WHEN person_event THEN 'contact' ELSE 'deal' END || '.property_changed',
        'hubspot', NULL, deal_id, contact_id, {_PAYLOAD}, priority, 0.9, fired_at, received_at, delivery_id,
        correlation_id, priority, state, stage, disposition, reason, received_at + interval '24 hours', done_at,
        CASE WHEN stage IS NOT NULL THEN stage || '.' || priority END,
        CASE WHEN kind = 'parked' THEN received_at + interval '24 hours' ELSE received_at END,
        CASE WHEN kind = 'parked' THEN '{CIRCUIT}' END
    FROM made
    """,
    f"""
    INSERT INTO deliveries (received_at, delivery_id, correlation_id, source, target, headers, body, accepted,
        duplicates, rejected)
    SELECT received_at, delivery_id, correlation_id, 'hubspot', '/webhooks/hubspot',
        '{{"content-type": "application/json", "user-agent": "generated"}}',
        convert_to('[' || string_agg(CAST({_PAYLOAD} AS text), ', ') || ']', 'UTF8'), count(*), 0, 0
    FROM made GROUP BY received_at, delivery_id, correlation_id
    """,
    f"""
    INSERT INTO contexts (signal_id, schema_version, subject, parts, complete, created_at)
    SELECT signal_id, 1, subject, {_CONTEXT}, true, received_at + interval '100 ms' FROM made WHERE {_WENT_ON}
    """,
    f"""
    INSERT INTO plans (plan_id, signal_id, schema_version, decided_by, rules_version, conclusive, why, created_at)
    SELECT plan_id, signal_id, 1, 'rules', 'generated', true, {_WHY}, received_at + interval '130 ms'
    FROM made WHERE {_WENT_ON}
    """,
    f"""
    INSERT INTO actions (action_id, schema_version, signal_id, plan_id, correlation_id, rule_id, subject, deal_id, type,
        adapter, priority, params, approval, state, reason, effect, created_at, done_at, queue, due_at, attempts,
        maybe_done, first_tried_at, tried_at)
    SELECT action_id, 1, signal_id, plan_id, correlation_id, rule, subject, deal_id, type, adapter, priority,
        jsonb_build_object('subject', 'Call about ' || subject, 'body', repeat('The close date has passed. ', 8),
            CASE type WHEN 'draft_followup' THEN 'to' ELSE 'deal_id' END,
            CASE type WHEN 'draft_followup' THEN n || '@generated.example' ELSE deal_id END), NULL, became, why,
        CASE WHEN became = 'done'
            THEN jsonb_build_object('external_id', CAST(n AS text), 'url', NULL, 'detail', '{{}}'::jsonb) END,
        received_at + interval '131 ms', CASE WHEN NOT open THEN done_at END,
        CASE WHEN became = 'ready' THEN '{DRAFTS}' END, received_at + interval '141 ms',
        CASE WHEN became IN ('done', 'unknown', 'failed') THEN 1 ELSE 0 END, became = 'unknown',
        CASE WHEN became = 'unknown' THEN received_at + interval '200 ms' END,
        CASE WHEN became = 'unknown' THEN received_at + interval '200 ms' END
    FROM ({_ACTS}) AS a
    """,
    f"""
    INSERT INTO approvals (approval_id, action_id, state, requested_at, expires_at, decided_at, decided_by,
        told_revision)
    SELECT {_timed("approval", "received_at")}, action_id, approval, received_at + interval '141 ms',
        received_at + interval '4 hours', CASE WHEN approval = 'open' THEN NULL WHEN open
            THEN received_at + interval '145 ms' ELSE received_at + interval '90 min' END,
        CASE approval WHEN 'open' THEN NULL WHEN 'expired' THEN 'policy' ELSE 'generated' END, 0
    FROM ({_ACTS}) AS a WHERE approval IS NOT NULL
    """,
    f"""
    INSERT INTO approval_requests (request_id, approval_id, action_id, signal_id, correlation_id, deal_id, priority,
        way, address, state, shown_revision, shown_version, place, ref, thread, delivered_at, created_at, due_at)
    SELECT {_timed("request", "received_at")}, {_timed("approval", "received_at")}, action_id, signal_id,
        correlation_id, deal_id, priority, 'slack', 'generated@revpipe.example', 'over', 0, 1, 'D0GENERATED',
        n || '.000100', NULL, received_at + interval '160 ms', received_at + interval '142 ms',
        received_at + interval '142 ms'
    FROM ({_ACTS}) AS a WHERE approval IN ('approved', 'rejected', 'expired')
    """,
    f"""
    INSERT INTO trail (at, trail_id, correlation_id, signal_id, action_id, what, detail)
    SELECT at, {_timed("trail", "at", "n || ':' || step")}, correlation_id, signal_id,
        CASE WHEN act IS NOT NULL THEN CAST(overlay(md5(:run || ':action:' || act || ':' || n) placing '3' from 13)
            AS uuid) END, what, detail
    FROM (SELECT made.*, step, what, act, detail, received_at + after_ms * interval '1 ms' AS at
        FROM made JOIN jsonb_to_recordset(CAST(:steps AS jsonb)) AS s(
            step int, kind text, after_ms int, what text, act int, detail jsonb) USING (kind)) AS stepped
    """,
    f"""
    INSERT INTO dead_letters (letter_id, letter_key, stage, source, queue, reason, error, traceback, signal_id,
        action_id, delivery_id, correlation_id, message, attempts, state, first_at, last_at, detail, closed_at,
        closed_by)
    SELECT {_timed("letter", "received_at")}, 'generated:' || :run || ':' || n,
        CASE kind WHEN 'dead_act' THEN 'act' WHEN 'dead_enrich' THEN 'enrich' ELSE 'ingest' END, 'hubspot',
        CASE kind WHEN 'dead_act' THEN 'execute.hubspot.' || priority WHEN 'dead_enrich' THEN 'enrich.' || priority END,
        CASE WHEN kind LIKE 'dead%' THEN 'permanent' ELSE 'missing_field' END,
        CASE WHEN kind LIKE 'dead%' THEN 'Permanent: the vendor refuses it' ELSE 'objectId must be an integer' END,
        repeat('  File "generated.py", line 1, in generated' || chr(10), 12),
        CASE WHEN kind LIKE 'dead%' THEN signal_id END,
        CASE WHEN kind = 'dead_act' THEN CAST(overlay(md5(:run || ':action:0:' || n) placing '3' from 13) AS uuid) END,
        delivery_id, correlation_id,
        CASE WHEN kind NOT LIKE 'dead%' THEN convert_to('{{"subscriptionType": "deal.propertyChange"}}', 'UTF8') END,
        1, CASE (n + n / 1000) % 5 WHEN 0 THEN 'open' WHEN 1 THEN 'replayed' ELSE 'discarded' END,
        received_at, received_at, '{{}}',
        CASE WHEN (n + n / 1000) % 5 <> 0 THEN received_at + interval '2 hours' END,
        CASE WHEN (n + n / 1000) % 5 <> 0 THEN 'generated' END
    FROM made WHERE kind LIKE 'dead%' OR (NOT open AND n % 1000 = 7)
    """,
    f"""
    INSERT INTO cached_parts (provider, part, key, value, fetched_at, expires_at)
    SELECT 'hubspot', 'account', coalesce(deal_id, '') || '||' || coalesce(contact_id, ''), {_CONTEXT} -> 'account',
        received_at, received_at + interval '4 hours' FROM made WHERE open ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO tallies (hour, name, n)
    SELECT date_trunc('hour', received_at, 'UTC') AS hour, name, count(*)
    FROM made, unnest(ARRAY['accepted', disposition]) AS name WHERE name IS NOT NULL GROUP BY 1, 2
    """,
)
"""One statement a table, in the order of their references, over the temporary table `made`."""

"""Signal, version 1, as JSON. Frozen: a change of shape is a new version and a step in `upcast`."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from revpipe.signals import SIGNAL_TYPES, URGENCIES, Signal


class SignalV1(Schema):
    """A signal on the wire: ids as text, times as ISO 8601 in UTC. Unknown fields are left out on loading."""

    class Meta:
        unknown = EXCLUDE

    schema_version = fields.Integer(required=True, validate=validate.Equal(1))
    signal_id = fields.UUID(required=True)
    signal_type = fields.String(required=True, validate=validate.OneOf(SIGNAL_TYPES))
    event = fields.String(required=True, validate=validate.Length(min=1, max=100))
    source = fields.String(required=True, validate=validate.Length(min=1, max=50))
    account_id = fields.String(allow_none=True, load_default=None)
    deal_id = fields.String(allow_none=True, load_default=None)
    contact_id = fields.String(allow_none=True, load_default=None)
    payload = fields.Dict(keys=fields.String(), required=True)
    urgency = fields.String(required=True, validate=validate.OneOf(URGENCIES))
    confidence = fields.Float(required=True, validate=validate.Range(0, 1))
    fired_at = fields.AwareDateTime(required=True, format="iso")
    received_at = fields.AwareDateTime(required=True, format="iso")
    delivery_id = fields.UUID(required=True)
    correlation_id = fields.UUID(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Signal:
        """The dataclass itself."""
        return Signal(**data)

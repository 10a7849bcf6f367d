"""The shape of a problem, RFC 9457."""

from marshmallow import Schema, fields

from revpipe.web.api.fields import told


class Problem(Schema):
    """Why a request was not carried out, and what to do."""

    type = told(fields.String, "A URI that names the kind of problem; about:blank where the status says it all.")
    title = told(fields.String, "The kind of problem in short.")
    status = told(fields.Integer, "The status of the answer.")
    detail = told(fields.String, "What is wrong with this request, and what to do.")
    errors = fields.Raw(metadata={"description": "Faults by place: query, json or headers, then field."})

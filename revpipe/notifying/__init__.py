"""People are told what waits for their word, and what became of it, by Slack and by e-mail.

Each request is a row that says what is to be seen where (models/approval_request.py). `telling` makes the rows and
lets them be due whenever their approval has changed; `run` brings them up to date through a Messenger; `pressing` and
`links` take the answers in.
"""

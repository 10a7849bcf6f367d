"""E-mail: requests for approval, sent by SMTP."""

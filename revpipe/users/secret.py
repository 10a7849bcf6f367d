"""What a person or program shows to be let in: made here, and kept as a hash only."""

import hashlib
import secrets


def fresh(prefix: str = "") -> str:
    """A new secret of 256 random bits, safe in a URL and in a cookie."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What the ledger keeps of it. No salt and no slow hash: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()

"""``nexova auth token``: a signed token for a registered user."""

from __future__ import annotations

import os
from typing import NamedTuple

from nexova_sim.base.errors import ConfigError
from nexova_sim.run.registry import Access, now_ms, opened


class Grant(NamedTuple):
    """A token and what it says; ``token`` is for the one who asked and is kept nowhere."""

    token: str
    email: str
    role: str
    factory: str | None
    issued_s: int
    expires_s: int


def token(access: Access, email: str) -> Grant:
    """A token for the user ``email``, signed with NEXOVA_JWT_SECRET and good for fifteen minutes.

    Raises ConfigError when the secret is missing or short, DeniedError UNAUTHORIZED for somebody not registered.
    """
    from nexova_sim.approve.members import grant_token
    from nexova_sim.approve.people import clean_email
    from nexova_sim.approve.registry import demand
    from nexova_sim.approve.token import SECRET_NAME, issue, secret_of

    secret = secret_of(os.environ)
    if secret is None:
        raise ConfigError(f"{SECRET_NAME} is not set; without it --as EMAIL says who acts and no token is needed")
    with opened(access) as store:
        outcome, claims = grant_token(store, clean_email(email, "EMAIL"), now_ms())
    demand(outcome)
    if claims is None:
        raise ConfigError(f"{email}: no token was granted")
    return Grant(issue(secret, claims), claims.email, claims.role, claims.factory, claims.iat, claims.exp)

"""Signed tokens (JWT, HS256 and nothing else): who somebody is, for fifteen minutes.

The secret comes from the environment and is never shown, logged or stored; neither is a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jwt

from nexova_sim.base.errors import ConfigError, DeniedError

SECRET_NAME = "NEXOVA_JWT_SECRET"
TOKEN_NAME = "NEXOVA_TOKEN"
ALGORITHM = "HS256"
LIFETIME_S = 900
MIN_SECRET_BYTES = 32
MAX_TOKEN_CHARS = 4096
_SKEW_S = 30
_CLAIMS = ("sub", "email", "role", "factory", "iat", "exp")


class Claims(NamedTuple):
    """What a token says. Times in seconds since 1970; ``factory`` None = all factories."""

    sub: str
    email: str
    role: str
    factory: str | None
    iat: int
    exp: int


def secret_of(environment: Mapping[str, str]) -> str | None:
    """The signing secret; None when the variable is not set. ConfigError when it is shorter than 32 bytes."""
    secret = environment.get(SECRET_NAME)
    if secret is None:
        return None
    size = len(secret.encode("utf-8", "surrogateescape"))
    if size < MIN_SECRET_BYTES:
        raise ConfigError(f"{SECRET_NAME}: has {size} bytes, needs at least {MIN_SECRET_BYTES}; set a longer one")
    return secret


def issue(secret: str, claims: Claims) -> str:
    """The signed token of ``claims``."""
    return jwt.encode(claims._asdict(), _key(secret), algorithm=ALGORITHM)


def claims_for(user_id: str, email: str, role: str, factory: str | None, now_s: int) -> Claims:
    """Claims that begin now and end in fifteen minutes."""
    return Claims(user_id, email, role, factory, now_s, now_s + LIFETIME_S)


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def read_token(secret: str, token: str | None, now_s: int) -> Claims:
    """The claims of a token that we signed and that is in force; DeniedError UNAUTHORIZED for any other."""
    if not token:
        raise _refused(f"a signed token is needed in {TOKEN_NAME}; make one with: nexova auth token EMAIL")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise _refused("the token is no token of ours")
    # Our own clock decides below, so that a replay or a test can say what time it is.
    options = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False}
    try:
        raw = jwt.decode(token, _key(secret), algorithms=[ALGORITHM], options=options)  # type: ignore[arg-type]
    except jwt.InvalidTokenError as error:
        # The library's message can quote parts of the token; the kind of error says enough.
        raise _refused(f"the token is not valid ({type(error).__name__}); make a new one") from None
    try:
        claims = Claims(*(raw[name] for name in _CLAIMS))
    except KeyError:
        raise _refused("the token lacks a claim; make a new one") from None
    texts = all(isinstance(value, str) for value in (claims.sub, claims.email, claims.role))
    numbers = all(type(value) is int for value in (claims.iat, claims.exp))
    if not texts or not numbers or not isinstance(claims.factory, str | None):
        raise _refused("the token's claims are not of the right types; make a new one")
    if not claims.iat - _SKEW_S <= now_s < claims.exp or claims.exp - claims.iat > LIFETIME_S:
        raise _refused("the token has expired or is not yet in force; make a new one with: nexova auth token EMAIL")
    return claims


def _refused(why: str) -> DeniedError:
    return DeniedError("UNAUTHORIZED", why)

"""Who acts: from a name or a token to a user as the registry knows him now."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.tables import SETTINGS, USERS
from nexova_sim.approve.token import SECRET_NAME, TOKEN_NAME, Claims, read_token, secret_of
from nexova_sim.approve.workflow import SYSTEM, Actor, Denial
from nexova_sim.base.errors import ConfigError, DataError, DeniedError
from nexova_sim.config.load import build
from nexova_sim.config.roles import RoleTable

ANONYMOUS = Actor("", "anonymous", "")
THE_SYSTEM = Actor("", SYSTEM, "", is_system=True)
MAX_NAME_CHARS = 255
MAX_COMMENT_CHARS = 2000
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")


class Identity(NamedTuple):
    """What somebody says of himself: a name in a local registry, or the claims of a signed token, or neither."""

    email: str | None = None
    claims: Claims | None = None
    refusal: Denial | None = None


def clean_email(text: str, where: str) -> str:
    """An e-mail address in the form in which it is stored (lower case); ConfigError when it is none."""
    email = unicodedata.normalize("NFC", text).strip().lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise ConfigError(f"{where}: {text!r} is no e-mail address")
    return email


def clean_text(text: str, where: str, most: int = MAX_NAME_CHARS, least: int = 1) -> str:
    """``text`` when a database can hold it; ConfigError when it is too short, too long, or no text."""
    if not least <= len(text) <= most:
        raise ConfigError(f"{where}: needs {least} to {most} characters, got {len(text)}")
    if "\0" in text or any(0xD800 <= ord(c) < 0xE000 for c in text):
        raise ConfigError(f"{where}: holds characters that are no text")
    return text


def identify(email: str | None, environment: Mapping[str, str], now_s: int) -> Identity:
    """Who asks: the token in NEXOVA_TOKEN where NEXOVA_JWT_SECRET is set, else the name given with ``--as``.

    A token that is not good makes an identity with a refusal, so that the attempt is recorded. ConfigError when the
    secret is too short.
    """
    secret = secret_of(environment)
    named = clean_email(email, "--as") if email is not None else None
    if secret is None:
        return Identity(email=named)
    try:
        claims = read_token(secret, environment.get(TOKEN_NAME), now_s)
    except DeniedError as error:
        return Identity(refusal=Denial(error.code, error.message))
    if named is not None and named != claims.email:
        return Identity(refusal=Denial("FORBIDDEN", "--as names another user than the token"))
    return Identity(claims=claims)


def find_user(connection: sa.Connection, email: str) -> Actor | None:
    """The user of that address as the registry knows him now."""
    row = connection.execute(sa.select(USERS).where(USERS.c.email == email)).one_or_none()
    return None if row is None else Actor(row.id, row.email, row.role, row.factory_id, bool(row.is_agent))


def recognise(connection: sa.Connection, identity: Identity) -> tuple[Actor, Denial | None]:
    """The actor behind an identity, and why he may do nothing at all, if so."""
    if identity.refusal is not None:
        return ANONYMOUS, identity.refusal
    claims = identity.claims
    if claims is None and identity.email is None:
        why = f"who are you? Give --as EMAIL, or a signed token where {SECRET_NAME} is set"
        return ANONYMOUS, Denial("UNAUTHORIZED", why)
    user = find_user(connection, claims.email if claims else str(identity.email))
    if user is None:
        return ANONYMOUS, Denial("UNAUTHORIZED", "no such user in this registry; see: nexova users list")
    if claims and (claims.sub, claims.role, claims.factory) != (user.user_id, user.role, user.factory_id):
        why = "the token says another role or factory than the registry does now; make a new token"
        return user, Denial("FORBIDDEN", why)
    return user, None


def role_table(connection: sa.Connection) -> RoleTable:
    """The role table this registry works by; DataError when it is missing or damaged."""
    text = connection.execute(sa.select(SETTINGS.c.value).where(SETTINGS.c.key == "roles")).scalar_one_or_none()
    if text is None:
        raise DataError("the registry has no role table; register its first user: nexova users add EMAIL --role ADMIN")
    try:
        return build(RoleTable, json.loads(text), "the registry's role table")
    except (ValueError, ConfigError) as error:
        raise DataError(f"the registry's role table is damaged: {error}") from error

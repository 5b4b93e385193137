"""Secrets out of what was parsed: by the name of a key, in command lines, in URLs (domain.md section 8)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edxconsole.cluster.text import MASK as MASK
from edxconsole.cluster.text import mask_text as mask_text

_SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|private|fernet|signing|license|_seed$|api[-_]?key"
    r"|(?:^|[-_.])keys?(?:$|[-_.])|key_dict|credential|cookie|(?:basic|http|master|django)[-_]?auth|userinfo",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(?<!pro)file|path|prefix|routing[-_]key|pass[-_]through|proxy_pass", re.IGNORECASE)
_ANY_USERINFO = re.compile(r"(://)[^\s/'\"]{0,500}@")
_IN_QUERY = re.compile(r"([?&;][\w-]{0,50}(?:token|key|secret|sig|pass)[\w-]{0,50}=)[^&;\s]+", re.IGNORECASE)
_BARE_USERINFO = re.compile(r"[^\s/@:'\"]{0,200}:(?!//)[^\s@'\"]{1,300}@")
_SECRET_SETTING = re.compile(
    r"pass(?:word|wd|phrase|code)?$|pass(?:word|wd|phrase)|pwd|secret|token|private|fernet|signing|license"
    r"|seed$|salt$|dsn$|api[-_]?key|(?:^|[-_.])keys?(?:$|[-_.\d])|key_dict|credential|(?:basic|http|django)[-_]?auth"
    r"|^auth$|^authorization$|erlang[-_]cookie|connection_string",
    re.IGNORECASE,
)
_SECRET_HOLDERS = frozenset({"USERS"})
"""xqueue's accounts: name -> password"""
_NOT_SECRET = re.compile(
    r".*ROUTING_KEY|.*KEY_PREFIX|KEY_FUNCTION|PASSWORD_RESET_SUPPORT_LINK|AUTH_PASSWORD_VALIDATORS"
    r"|PASSWORD_POLICY_.*|HELP_TOKENS_BOOKS|PARSE_KEYS|JWT_PUBLIC_SIGNING_JWK_SET|JWT_AUTH_COOKIE.*"
    r"|.*_(?:FILE|PATH|DIR|TIMEOUT|EXPIRATION|ALGORITHM)S?"
)
_ASSIGNED = re.compile(r"^(-{0,2}[\w.-]{1,80})=(.*)$", re.DOTALL)
_SHORT_TAKES_SECRET = frozenset({"-p", "-a", "-w"})
_SHORT_OF = ("mysql", "maria", "mongo", "redis-cli", "sshpass", "ldap", "supervisorctl")


def is_secret(key: str) -> bool:
    """Whether the value of a key of this name must not be shown."""
    return _SECRET.search(key) is not None and _HARMLESS.search(key) is None


def is_secret_setting(keys: Sequence[str | int]) -> bool:
    """Whether the value at this place of a parsed configuration must not be shown.

    What is below a secret key is secret as well. domain.md section 8 has the names, also of what looks
    like a secret and is none.
    """
    return any(
        key in _SECRET_HOLDERS or (_SECRET_SETTING.search(key) and not _NOT_SECRET.fullmatch(key))
        for key in keys
        if isinstance(key, str)
    )


def mask_setting(text: str) -> str:
    """A setting whose key is harmless, without what may be secret in it: users of URLs, PEM keys."""
    if "-----BEGIN" in text:
        return MASK
    if "=" in text:
        text = _IN_QUERY.sub(rf"\1{MASK}", text)
    if "@" not in text:
        return text
    return _BARE_USERINFO.sub(f"{MASK}@", _ANY_USERINFO.sub(rf"\1{MASK}@", text))


def mask_argv(argv: Sequence[str]) -> list[str]:
    """A command line without the values of secret options and assignments."""
    shown: list[str] = []
    hide = short = False
    for word in argv:
        short = short or word.rpartition("/")[2].startswith(_SHORT_OF)
        assigned = _ASSIGNED.match(word)
        if hide:
            shown.append(MASK)
            hide = False
        elif assigned is not None and is_secret(assigned[1]):
            shown.append(f"{assigned[1]}={MASK}")
        elif " " in word:
            shown.append(" ".join(mask_argv(word.split())))
        elif short and word[:2] in _SHORT_TAKES_SECRET:
            hide = len(word) == 2
            shown.append(word[:2] + (MASK if len(word) > 2 else ""))
        else:
            hide = word.startswith("-") and assigned is None and is_secret(word)
            shown.append(mask_text(word))
    return shown

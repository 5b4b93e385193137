"""Secrets out of what was parsed: by the name of a key, in command lines, in URLs (domain.md section 8)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edxconsole.cluster.text import MASK
from edxconsole.cluster.text import mask_text as mask_text

_SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|private|fernet|signing|license|_seed$|api[-_]?key"
    r"|(?:^|[-_.])keys?(?:$|[-_.])|key_dict|credential|cookie|(?:basic|http|master|django)[-_]?auth|userinfo",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"file|path|prefix|routing[-_]key|pass[-_]through|proxy_pass", re.IGNORECASE)
_ASSIGNED = re.compile(r"^(-{0,2}[\w.-]{1,80})=(.*)$", re.DOTALL)
_SHORT_TAKES_SECRET = frozenset({"-p", "-a", "-w"})
_SHORT_OF = ("mysql", "maria", "mongo", "redis-cli", "sshpass", "ldap", "supervisorctl")


def is_secret(key: str) -> bool:
    """Whether the value of a key of this name must not be shown."""
    return _SECRET.search(key) is not None and _HARMLESS.search(key) is None


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

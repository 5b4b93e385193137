"""The words of sudo: which rule would allow a command, and what `sudo -n -l` says is allowed."""

from __future__ import annotations

import re

PASSWORD_NEEDED = 126
"""exit status our host-side scripts give when sudo would ask for a password or refuse"""

_VERB_AT = {"systemctl": 1, "service": 2}


def rule(login: str, command: str, *, user: str = "root") -> str:
    """A remedy: the one sudoers line that allows a command to the login user."""
    return f"add to sudoers: {login or 'LOGIN'} ALL=({user}) NOPASSWD: {command}"


def allowed(listing: str, program: str, words: frozenset[str]) -> frozenset[str]:
    """Which of `words` may follow or appear in a `program` command without a password as root.

    Args:
        listing: output of `sudo -n -l`.
        program: base name, "systemctl" or "service".
        words: the verbs asked about.
    """
    found: set[str] = set()
    for line in listing.splitlines():
        match = re.match(r"\s*\(([^)]*)\)\s*(.*)", line)
        if match is None or not re.search(r"\b(ALL|root)\b", match[1]):
            continue
        tags, _, commands = match[2].rpartition("NOPASSWD:")
        if "NOPASSWD:" not in match[2] or "PASSWD:" in tags.replace("NOPASSWD:", ""):
            continue
        for command in commands.split(","):
            found |= _verbs(command.split(), program, words)
    return frozenset(found)


def _verbs(command: list[str], program: str, words: frozenset[str]) -> frozenset[str]:
    if command == ["ALL"]:
        return words
    if not command or command[0].rpartition("/")[2] != program:
        return frozenset()
    where = _VERB_AT[program]
    if len(command) <= where:
        return words if len(command) == 1 or command[-1] == "*" else frozenset()
    return words if command[where] == "*" else words & {command[where]}

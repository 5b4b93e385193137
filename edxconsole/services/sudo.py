"""The words of sudo: which rule would allow a command."""

from __future__ import annotations

PASSWORD_NEEDED = 126
"""exit status our host-side scripts give when sudo would ask for a password or refuse"""


def rule(login: str, command: str, *, user: str = "root") -> str:
    """A remedy: the one sudoers line that allows a command to the login user."""
    return f"add to sudoers: {login or 'LOGIN'} ALL=({user}) NOPASSWD: {command}"

"""Lets a host's row say that it waits for the operator, while a question is open."""

from __future__ import annotations

from collections.abc import Mapping

from edxconsole.cluster.session import HostSession
from edxconsole.transport.base import Prompter


class TellingPrompter:
    """Passes every question on, and tells the host's session of it. Implements Prompter."""

    def __init__(self, prompter: Prompter, sessions: Mapping[str, HostSession]) -> None:
        self._prompter = prompter
        self._sessions = sessions

    async def secret(self, host: str, prompt: str) -> str | None:
        self._tell(host, "a secret is asked for")
        return await self._prompter.secret(host, prompt)

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        self._tell(host, "its host key is not known yet")
        return await self._prompter.trust(host, address, key_type, fingerprint)

    def _tell(self, host: str, what: str) -> None:
        session = self._sessions.get(host)  # a jump host need not be one that is watched
        if session is not None:
            session.asking(what)

"""The one exception tree. Every message is one sentence: the host, the cause, the remedy.

::

    EdxconsoleError
    ├── UsageError                 a command line that makes no sense              exit 2
    ├── InventoryError             hosts.yaml, ~/.ssh/config, a selector           exit 2
    ├── CatalogError               a component file                                exit 2
    ├── SettingsError              the operator's own preferences                  exit 2
    ├── TransportError             a host can't be reached or spoken to            exit 3
    │   ├── HostUnreachable        refused, no route, name unknown, timed out
    │   ├── HandshakeDropped       sshd hung up before login (MaxStartups): retry
    │   ├── AuthenticationFailed   no key or password was accepted
    │   ├── HostKeyUnknown         not pinned yet: the operator must decide
    │   ├── HostKeyChanged         pinned differently: always refused
    │   ├── ConnectionLost         an open connection ended
    │   ├── CommandTimedOut        a command did not end in its time
    │   ├── CommandFailed          a command could not be started or was refused
    │   └── StreamRefused          a TCP port or UNIX socket on the host can't be opened
    │       └── PortRefused        nothing listens there
    ├── ProbeError                 the probe on a host                             exit 3
    │   ├── NoInterpreter          no usable Python on the host
    │   ├── ProbeDied              it ended or went silent
    │   └── ProtocolViolation      it sent what no probe sends
    ├── ServiceError               a service manager                               exit 1
    │   ├── ServiceUnavailable     supervisord, D-Bus or the init can't be reached
    │   ├── PermissionMissing      the login user may not do this; names the rule
    │   ├── UnitUnknown            no such program or unit
    │   ├── NotUnderstood          a file or an answer that is not what it should be
    │   └── ServiceFault           it answered with a fault
    ├── PlanError                  a change was not made                           exit 4
    │   ├── ReadOnly               the console is not armed
    │   ├── NotConfirmed           the operator did not confirm
    │   ├── IdentityDrift          the target is no longer what was confirmed
    │   ├── PreflightFailed        a check before the act failed
    │   ├── LockHeld               another operator is at work there
    │   ├── ActFailed              the act itself failed                           exit 1
    │   └── GateFailed             acted, but health did not come back             exit 1
    ├── JournalError               the journal can't be written or was altered     exit 4
    └── DemoError                  the demo cluster                                exit 2
"""

from __future__ import annotations

from typing import ClassVar


class EdxconsoleError(Exception):
    """Root of everything edxconsole raises on purpose.

    Args:
        cause: what went wrong, a clause without a full stop.
        host: the inventory name of the host, if one is concerned.
        remedy: what the operator can do about it, a clause without a full stop.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, cause: str, *, host: str | None = None, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.host = host
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.host}: {self.cause}" if self.host else self.cause
        text = f"{head}; {self.remedy}" if self.remedy else head
        return text if text.endswith("?") else f"{text}."


class UsageError(EdxconsoleError):
    """A command line that makes no sense."""

    exit_status = 2


class InventoryError(EdxconsoleError):
    """hosts.yaml, ssh_config or a selector is wrong; `cause` names file, line and key."""

    exit_status = 2


class CatalogError(EdxconsoleError):
    """A component file is wrong; `cause` names file, line and key."""

    exit_status = 2


class SettingsError(EdxconsoleError):
    """The operator's settings file is wrong; `cause` names file, line and key."""

    exit_status = 2


class TransportError(EdxconsoleError):
    """A host can't be reached or spoken to."""

    exit_status = 3


class HostUnreachable(TransportError):
    """Refused, no route, name unknown or timed out, before SSH began."""


class HandshakeDropped(TransportError):
    """sshd hung up before login, as it does above MaxStartups; worth a retry."""


class AuthenticationFailed(TransportError):
    """No key, password or answer was accepted. Never retried by itself."""


class HostKeyUnknown(TransportError):
    """The host's key is not pinned. `fingerprint` is `SHA256:...`, `key` an OpenSSH line."""

    def __init__(
        self,
        cause: str,
        *,
        fingerprint: str,
        key: str,
        host: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(cause, host=host, remedy=remedy)
        self.fingerprint = fingerprint
        self.key = key


class HostKeyChanged(TransportError):
    """The host's key is pinned differently. Always refused."""


class ConnectionLost(TransportError):
    """An open connection ended or went silent."""


class CommandTimedOut(TransportError):
    """A command did not end within its time; it was killed."""


class CommandFailed(TransportError):
    """A command could not be started: channel refused, sudo refused, not found."""


class StreamRefused(TransportError):
    """A TCP port or UNIX socket on the host can't be opened; names what is missing."""


class PortRefused(StreamRefused):
    """Nothing listens there: the host itself was refused."""


class ProbeError(EdxconsoleError):
    """The probe on a host."""

    exit_status = 3


class NoInterpreter(ProbeError):
    """No usable Python was found on the host."""


class ProbeDied(ProbeError):
    """The probe ended or went silent."""


class ProtocolViolation(ProbeError):
    """The host sent what no probe sends: too long, not JSON, a wrong shape or version."""


class ServiceError(EdxconsoleError):
    """A service manager on a host."""


class ServiceUnavailable(ServiceError):
    """supervisord, D-Bus or the init system can't be reached."""


class PermissionMissing(ServiceError):
    """The login user may not do this; `remedy` is the exact rule that would allow it."""


class UnitUnknown(ServiceError):
    """The manager knows no such program or unit."""


class NotUnderstood(ServiceError):
    """A file or an answer of a service is not what it should be: broken, too large, another protocol."""


class ServiceFault(ServiceError):
    """The manager answered with a fault. `code` is its own number, if it has one."""

    def __init__(
        self,
        cause: str,
        *,
        code: int | None = None,
        host: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(cause, host=host, remedy=remedy)
        self.code = code


class PlanError(EdxconsoleError):
    """A change was not made, or not completed."""

    exit_status = 4


class ReadOnly(PlanError):
    """The console is not armed."""


class NotConfirmed(PlanError):
    """The operator did not confirm."""


class IdentityDrift(PlanError):
    """The target is no longer the process that was confirmed."""


class PreflightFailed(PlanError):
    """A check before the act failed; nothing was changed."""


class LockHeld(PlanError):
    """Another operator or plan is at work on this target."""


class ActFailed(PlanError):
    """The act itself failed or was not seen to complete."""

    exit_status = 1


class GateFailed(PlanError):
    """The act was done, but health did not come back."""

    exit_status = 1


class JournalError(EdxconsoleError):
    """The journal can't be written, or its hash chain is broken."""

    exit_status = 4


class DemoError(EdxconsoleError):
    """The demo cluster can't be started, found or changed."""

    exit_status = 2

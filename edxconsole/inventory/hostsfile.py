"""The shape of hosts.yaml as an operator writes it: defaults apart, bodies may be empty."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from edxconsole.inventory.model import Environment, TransportKind
from edxconsole.inventory.names import (
    ADDRESS,
    HOST_NAME,
    LONGEST_SITE,
    MAX_SITES,
    PLAIN_PATH,
    SITE_NAME,
    USER_NAME,
    check_address,
    check_host_name,
    check_path,
    check_site,
    check_user,
)
from edxconsole.inventory.said import Said

HostName = Annotated[
    str, AfterValidator(check_host_name), WithJsonSchema({"type": "string", "pattern": HOST_NAME})
]
Address = Annotated[
    str, AfterValidator(check_address), WithJsonSchema({"type": "string", "pattern": ADDRESS})
]
UserName = Annotated[
    str, AfterValidator(check_user), WithJsonSchema({"type": "string", "pattern": USER_NAME})
]
SiteName = Annotated[
    str,
    AfterValidator(check_site),
    WithJsonSchema({"type": "string", "pattern": SITE_NAME, "maxLength": LONGEST_SITE}),
]
FilePath = Annotated[
    str, AfterValidator(check_path), WithJsonSchema({"type": "string", "pattern": PLAIN_PATH})
]


class HostDefaults(BaseModel):
    """What may be said once for all hosts, or for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int | None = Field(default=None, ge=1, le=65535, description="SSH port, 22 when not said")
    user: UserName | None = Field(default=None, description="login user")
    jump: HostName | None = Field(
        default=None, description="another host of this file, or an alias in ~/.ssh/config, to go through"
    )
    proxy_command: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="run by /bin/sh, its stdin and stdout are the connection; %h %p %r as in ssh_config",
    )
    transport: TransportKind | None = Field(
        default=None, description="asyncssh (usual), paramiko, or local for this very machine"
    )
    become: Literal["sudo", "none"] | None = Field(
        default=None, description="sudo: use `sudo -n` for what needs it; none: never"
    )
    identity_file: FilePath | None = Field(default=None, description="private key")
    known_hosts: FilePath | None = Field(default=None, description="a known_hosts file read as well")
    ssh_config: FilePath | None = Field(default=None, description="an ssh_config instead of ~/.ssh/config")
    legacy_algorithms: bool | None = Field(
        default=None, description="allow ssh-rsa and old ciphers of sshd before 7.2"
    )
    python: FilePath | None = Field(
        default=None, description="interpreter for the probe, when the usual places don't do"
    )


class HostBody(HostDefaults):
    """One host."""

    address: Address | None = Field(
        default=None, description="DNS name or IP address; without it the name is an alias in ~/.ssh/config"
    )


class HostsFile(BaseModel):
    """An edxconsole inventory."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="edxconsole hosts.yaml")

    cluster: str = Field(default="cluster", min_length=1, max_length=60, description="its name, for titles")
    environment: Environment = Field(
        default=Environment.PRODUCTION, description="how careful the console is with changes"
    )
    defaults: HostDefaults | None = Field(default=None, description="applied to every host that doesn't say")
    hosts: dict[HostName, HostBody | None] = Field(min_length=1, description="name: how to reach it")
    groups: dict[HostName, tuple[str, ...]] | None = Field(
        default=None, description="name: list of hosts, or patterns such as app*"
    )
    expect: dict[str, tuple[str, ...]] | None = Field(
        default=None, description="host or group: components that must run there"
    )
    sites: Annotated[tuple[SiteName, ...], Field(max_length=MAX_SITES)] | None = Field(
        default=None, description="public host names of the sites, whose certificates are looked at"
    )
    catalog: FilePath | None = Field(
        default=None, description="a file or directory of component YAML that adds to the built-in catalog"
    )

    def said(self) -> Said:
        """The same as plain data."""
        return Said(
            cluster=self.cluster,
            environment=self.environment,
            defaults=_given(self.defaults),
            hosts={name: _given(body) for name, body in self.hosts.items()},
            groups=self.groups or {},
            expect=self.expect or {},
            sites=self.sites or (),
            catalog=self.catalog,
        )


def _given(body: HostDefaults | None) -> dict[str, Any]:
    return body.model_dump(exclude_none=True) if body else {}

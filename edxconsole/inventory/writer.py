"""Write a commented hosts.yaml, for `init` and for the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml


def render_hosts(
    hosts: Mapping[str, Mapping[str, Any]],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    cluster: str = "cluster",
    environment: str = "production",
    defaults: Mapping[str, Any] | None = None,
    expect: Mapping[str, Sequence[str]] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
    sites: Sequence[str] = (),
) -> str:
    """The text of a hosts.yaml that load_inventory reads back to the same hosts, groups and expectations.

    Args:
        hosts: name -> keys as in hosts.yaml; an empty mapping is an ssh_config alias.
        notes: host -> comments above it.
        sites: public host names, at most names.MAX_SITES.
    """
    lines = [
        "# edxconsole inventory; `edxconsole check` tries it, docs/hosts.schema.json has every key.",
        f"cluster: {_flow(cluster)}",
        f"environment: {environment}    # production | staging | development: how careful changes are",
    ]
    if defaults:
        lines.append(f"defaults: {_flow(dict(defaults))}")
    lines.append("hosts:")
    width = max((len(_flow(name)) for name in hosts), default=0) + 1
    for name, body in hosts.items():
        lines += [f"  # {_comment(note)}" for note in (notes or {}).get(name, ())]
        key = f"{_flow(name)}:"
        lines.append(f"  {key:<{width}} {_flow(dict(body))}" if body else f"  {key}")
    for section, content in (("groups", groups), ("expect", expect)):
        if content:
            lines.append(f"{section}:")
            lines += [f"  {_flow(place)}: {_flow(list(words))}" for place, words in content.items()]
    if sites:
        lines.append(f"sites: {_flow(list(sites))}    # whose certificates are looked at")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """One line that can't end the comment it is in."""
    return "".join(c if c.isprintable() else " " for c in text)


def _flow(value: object) -> str:
    """A value on one line; text that YAML 1.1 or 1.2 could take for something else is quoted."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()

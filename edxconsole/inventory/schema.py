"""The JSON Schema of hosts.yaml, for editors: `python -m edxconsole.inventory.schema`.

Generated from the shape of the file, not from Inventory: defaults are apart and a host may be empty.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from edxconsole.inventory.hostsfile import HostsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def hosts_schema() -> dict[str, Any]:
    """The schema as plain data."""
    schema = HostsFile.model_json_schema()
    for body in schema["properties"].values():
        for mapping in (body, *body.get("anyOf", ())):
            if "patternProperties" in mapping:
                mapping["additionalProperties"] = False
    return {"$schema": DIALECT, **schema}


def hosts_schema_text() -> str:
    """What docs/hosts.schema.json holds."""
    return json.dumps(hosts_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(hosts_schema_text())

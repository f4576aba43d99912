"""JSON schema of a stack file, for editors."""

import json
from typing import Any

from serving.settings import settings_schema

_TOP = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Stack file of Tricorn",
    "description": "Pulumi.<stack>.yaml. First line: # yaml-language-server: $schema=docs/settings.schema.json",
    "type": "object",
    "required": ["config"],
}
_PULUMI = {
    "encryptionsalt": "Pulumi's own: what its passphrase is mixed with",
    "secretsprovider": "Pulumi's own: who encrypts secrets",
    "encryptedkey": "Pulumi's own: the encrypted key of secrets",
    "environment": "Pulumi's own: environments that are read, too",
}


def stack_file_schema() -> dict[str, Any]:
    """Return the schema: Pulumi's own keys, and the settings below `config`."""
    settings = settings_schema()
    parts = settings.pop("$defs")
    parts["Settings"] = settings
    config = {
        "type": "object",
        "required": ["tricorn:settings"],
        "properties": {"tricorn:settings": {"$ref": "#/$defs/Settings"}},
    }
    own = {key: {"description": meaning} for key, meaning in _PULUMI.items()}
    return {
        **_TOP,
        "properties": {"config": config, **own},
        "$defs": {key: _strict(each) for key, each in parts.items()},
    }


def schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(stack_file_schema(), indent=2) + "\n"


def _strict(value: Any) -> Any:
    """Without the titles, which repeat the names, and with no keys beside those that a pattern allows."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _strict(each) for key, each in value.items() if not (key == "title" and isinstance(each, str))}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return kept

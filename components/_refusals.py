"""Refusing a component's arguments by the rules of the stack's settings, so that both accept the same values."""

import re
from collections.abc import Mapping
from typing import Any, Optional

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel


def section_problems(
    section: Any, values: Mapping[str, object], arguments: Optional[Mapping[str, str]] = None
) -> list[tuple[str, str]]:
    """Find what a section of the settings refuses, as pairs of argument name and reason for `reject`.

    Args:
        section: A class of `serving.settings_sections`.
        values: Values by the section's field names; None stands for the section's default.
        arguments: Argument names where they are not the field's in camelCase.
    """
    given = {field: value for field, value in values.items() if value is not None}
    try:
        TypeAdapter(section).validate_python(given, by_name=True)
    except ValidationError as error:
        return [_problem(details, arguments or {}) for details in error.errors(include_url=False)]
    return []


def _problem(details: Any, arguments: Mapping[str, str]) -> tuple[str, str]:
    field = str(details["loc"][0])
    rule = re.sub(r"^(Input|String) should", "must", details["msg"])
    return arguments.get(field, to_camel(field)), f"{rule}, got {details['input']!r}"

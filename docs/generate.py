"""Writes the reference pages: `python -m docs.generate`, or `--check` to see whether they are current."""

import sys
from collections.abc import Callable
from pathlib import Path

from docs.components_page import components_page
from docs.conformance_page import conformance_page
from docs.policy_page import policy_page
from docs.schema import schema_text
from docs.settings_page import settings_page

DOCS = Path(__file__).resolve().parent
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "settings.schema.json": schema_text,
    "components.md": components_page,
    "policy.md": policy_page,
    "conformance.md": conformance_page,
}
COMMAND = "python -m docs.generate"


def stale() -> list[str]:
    """Return the names of pages that are missing or differ from what they are made from."""
    return [name for name, make in PAGES.items() if not (DOCS / name).is_file() or (DOCS / name).read_text() != make()]


def main(arguments: list[str]) -> int:
    """Write the pages that changed, or name them with `--check`; return the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {COMMAND} [--check]", file=sys.stderr)
        return 2
    changed = stale()
    if arguments:
        for name in changed:
            print(f"docs/{name} is not current; run `{COMMAND}` (make docs)", file=sys.stderr)
        return 1 if changed else 0
    for name in changed:
        (DOCS / name).write_text(PAGES[name]())
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """Text that fits into one cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text in a cell as it is."""
    return f"`{cell(text)}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a final line break; columns that are empty in every row are left out."""
    listed = [tuple(row) for row in rows]
    kept = [i for i in range(len(head)) if any(row[i] for row in listed)]
    lines = [
        "| " + " | ".join(head[i] for i in kept) + " |",
        "|" + "---|" * len(kept),
        *("| " + " | ".join(row[i] for i in kept) + " |" for row in listed),
    ]
    return "\n".join(lines) + "\n"

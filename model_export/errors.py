"""What ends a command with a message instead of a traceback."""


class ExportError(ValueError):
    """A model, bundle or file is not what it must be; the text names it, the rule, what was found and the fix."""


class Interrupted(Exception):  # it is not an error
    """Ctrl-C in a command that can be gone on with; the text says how."""

"""The one error that ends an export or a verification with a message instead of a traceback."""


class ExportError(ValueError):
    """A model, bundle or file is not what it must be; the text names it, the rule, what was found and the fix."""

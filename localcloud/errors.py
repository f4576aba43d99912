"""The one error that ends a command of the local clouds with a message instead of a traceback."""


class LocalCloudError(Exception):
    """Something the user can mend; the text names what, where and how."""

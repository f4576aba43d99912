"""What a user can put right."""


class DeployError(Exception):
    """A mistake in the command or in the stack; the text says what and what to do, without a traceback."""

"""The one kind of error that users can fix themselves; it is shown as one sentence, without a traceback."""


class UserError(Exception):
    """One sentence: what is wrong with the input, the parameters or the setup, and what to do about it."""

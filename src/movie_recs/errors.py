"""The one kind of error that is the user's to mend, and is shown as a sentence instead of a traceback."""


class UserError(Exception):
    """What is wrong with the input, the parameters or the set-up, and what to do about it, in one sentence."""

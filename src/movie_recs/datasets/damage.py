"""What is said of a saved file that cannot be read."""

LONGEST = 120  # characters of a reason


def damaged(what: str, error: BaseException) -> str:
    """The sentence about a file or model of which a reader has raised an error."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = lines[0][:LONGEST] if lines else type(error).__name__
    return f"{what} is damaged ({reason}): run `kedro run` again, which makes it anew."

"""What is wrong with a request, in one sentence."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

MOST_SHOWN = 60  # characters of what was sent
PROBLEMS = 3  # named in a sentence


def describe(errors: Sequence[Mapping[str, Any]]) -> str:
    """The problems that Pydantic found, as in "n is 0 but should be greater than or equal to 1"."""
    named = [_describe(error) for error in errors[:PROBLEMS]]
    more = f"; and {len(errors) - PROBLEMS} more" if len(errors) > PROBLEMS else ""
    return f"{'; '.join(named)}{more}."


def printable(text: str) -> str:
    """The text without what UTF-8 does not have, as half of a pair of surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _describe(error: Mapping[str, Any]) -> str:
    location = error["loc"][1:]  # after body, query or path
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
    if error["type"] == "json_invalid":
        return "the body is no JSON"
    if isinstance(error.get("input"), bytes):
        return "the body is not declared as JSON: send it with the header content-type: application/json"
    if error["type"] == "missing":
        return f"{name or 'the body'} is missing"
    if error["type"] == "extra_forbidden":
        return f"{name} is no parameter"
    message = re.sub("^(Value error, |Input |String |List )", "", error["msg"])
    if message.startswith("should"):
        return f"{name or 'the body'} is {_shorten(error.get('input'))} but {message}"
    return f"{name or 'the body'} {message[:1].lower()}{message[1:]}"


def _shorten(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."

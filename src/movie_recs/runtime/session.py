"""Kedro's session, in which every error of a run ends as one sentence."""

from difflib import get_close_matches
from typing import Any

from click import ClickException
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from movie_recs.runtime.failures import as_sentence
from movie_recs.runtime.runner import replace_default


class Session(KedroSession):
    """`KedroSession` that shows an error before, within or after the nodes without its traceback."""

    def run(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The outputs of a run; arguments as `KedroSession.run`, but the default runner is `runner.NodesRunner`.

        Raises:
            ClickException: Whatever went wrong, in one sentence.
        """
        options["runner"] = replace_default(options.get("runner"))
        try:
            return super().run(*arguments, **options)
        except Exception as error:
            unknown = _unknown_pipeline(options.get("pipeline_names") or []) if isinstance(error, ValueError) else ""
            raise (ClickException(unknown) if unknown else as_sentence(error)) from error


def _unknown_pipeline(names: list[str]) -> str:
    registered = list(pipelines)
    for name in names:
        if name not in registered:
            close = get_close_matches(name, registered, 1)
            meant = f", perhaps {close[0]}" if close else ""
            others = ", ".join(each for each in registered if not each.startswith("_"))
            return f"No pipeline is called {name}{meant}: there are {others}."
    return ""

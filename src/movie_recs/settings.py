"""Project settings: the configuration loader, the hooks, and the session."""

import os
import warnings
from importlib.util import find_spec
from typing import Any

from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.console import ConsoleHooks
from movie_recs.runtime.hooks import ProjectHooks
from movie_recs.runtime.session import Session

# Nodes that gather the outputs of both namespaces use full names, as "rating.best_params".
warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
# `--pipeline=recommend` works like `--pipelines=recommend`, and is what people type.
warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")

HOOKS: tuple[Any, ...] = (ProjectHooks(), ConsoleHooks())
if find_spec("kedro_mlflow"):  # the extra mlflow
    from movie_recs.tracking.hooks import TrackingHooks

    HOOKS += (TrackingHooks(),)
    DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow", "kedro_mlflow")  # it is the base of these hooks
SESSION_CLASS = Session
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"spark": ["spark*", "spark*/**"]},
    "merge_strategy": {"parameters": "soft", "spark": "soft", "globals": "soft"},  # an override leaves its siblings
    "custom_resolvers": {"env": lambda name, default=None: os.environ.get(name, default)},
}

"""Project settings: the configuration loader, the hooks, and the session."""

import os
import warnings
from typing import Any

from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.console import ConsoleHooks
from movie_recs.runtime.hooks import ProjectHooks
from movie_recs.runtime.session import Session

# Nodes that gather the outputs of both namespaces use full names, as "rating.best_params".
warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
# `--pipeline=recommend` works like `--pipelines=recommend`, and is what people type.
warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")

HOOKS = (ProjectHooks(), ConsoleHooks())
SESSION_CLASS = Session
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"spark": ["spark*", "spark*/**"]},
    "merge_strategy": {"parameters": "soft", "spark": "soft", "globals": "soft"},  # an override leaves its siblings
    "custom_resolvers": {"env": lambda name, default=None: os.environ.get(name, default)},
}

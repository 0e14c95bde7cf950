"""`movie-recs serve`: loads the newest models, then answers until it is stopped."""

import argparse
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from movie_recs.errors import UserError
from movie_recs.project import PROJECT

KEEP_ALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 10
MOST_CONNECTIONS = 1_000
SWITCH_SECONDS = 0.0005  # Python's 5 ms are the time that requests wait for each other and for a model that is loaded

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str], program: str) -> None:
    """Serves until it is stopped.

    Raises:
        UserError: There is nothing to serve, or nothing to serve it with.
    """
    options = _parser(program).parse_args(arguments)
    if importlib.util.find_spec("uvicorn") is None:
        raise UserError('The service needs some more packages: pip install "movie_recs[serve]".')
    # A request is computed by one thread, and as many requests at once as there are cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import uvicorn  # after the variables, which NumPy reads when it is imported

    from movie_recs.serve.current import Current
    from movie_recs.serve.places import find_places
    from movie_recs.serve.warm import warm
    from movie_recs.serve.web.app import create_app

    sys.setswitchinterval(SWITCH_SECONDS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S")
    places = find_places(options.data_dir.absolute(), options.dataset)
    current = Current(places, warm, options.poll)
    logger.info(
        "Serving %s at http://%s:%d, the API's documentation at /docs", places.dataset, options.host, options.port
    )
    uvicorn.run(
        create_app(current),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        http="h11",  # it bounds the bytes of a request's headers
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
        server_header=False,
    )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--dataset", help="the data set; may be left out if there are models of one only")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="the port (default: 8000; 0 takes any that is free)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("MOVIE_RECS_DATA_DIR", PROJECT / "data")),
        help="where runs have written (default: MOVIE_RECS_DATA_DIR, else data/)",
    )
    parser.add_argument("--poll", type=float, default=5.0, help="seconds between looks for newer models (default: 5)")
    return parser

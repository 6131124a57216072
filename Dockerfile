# syntax=docker/dockerfile:1
# The server with the bundled models. CPU by default; for NVIDIA GPUs: --build-arg CUDA=ON (the CUDA libraries come with the image;
# the host brings the driver and the NVIDIA container runtime: docs/operations.md). BASE may be named by digest.
ARG BASE=debian:12-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
ARG CUDA=OFF
# What `stepcast-server --version` and the metrics tell: git rev-parse --short=12 HEAD.
ARG REVISION=unknown
WORKDIR /src
# Dependencies first: they change rarely, and this layer is the slow one.
COPY dev CMakeLists.txt CMakePresets.json ./
COPY deps/apt.txt deps/torch.txt deps/torch-cuda.txt deps/
# Words of a list are meant, and the release pins the versions.
# hadolint ignore=SC2046,DL3008
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(grep -v '^#' deps/apt.txt) \
 && rm -rf /var/lib/apt/lists/*
# hadolint ignore=SC2046
RUN ./dev deps $(test "$CUDA" = OFF || echo cuda)
COPY . .
RUN cmake --preset release "-DSTEPCAST_CUDA=${CUDA}" "-DSTEPCAST_COMMIT=${REVISION}" -DCMAKE_INSTALL_PREFIX=/opt/stepcast \
 && cmake --build build/release -j "$(nproc)" \
 && cmake --install build/release --strip

# HTTP in front of the server, an image of its own: docker build --target gateway -t stepcast-gateway .
FROM node:20-bookworm-slim AS gateway-build
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends protobuf-compiler libprotobuf-dev \
 && rm -rf /var/lib/apt/lists/*
COPY proto /src/proto
COPY clients/node /src/clients/node
COPY clients/gateway /src/clients/gateway
WORKDIR /src/clients/node
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build
WORKDIR /src/clients/gateway
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build && npm prune --omit=dev --ignore-scripts
WORKDIR /src/clients/gateway/page
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build && rm -rf node_modules

FROM node:20-bookworm-slim AS gateway
LABEL org.opencontainers.image.title="stepcast-gateway" \
      org.opencontainers.image.description="HTTP in front of Stepcast: OpenAI, A1111, jobs and the page" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/stepcast/clients/gateway
COPY --from=gateway-build /src/clients /opt/stepcast/clients
ENV NODE_ENV=production STEPCAST_GATEWAY_LISTEN_HOST=0.0.0.0
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
CMD ["node", "dist/main.js"]

# hadolint ignore=DL3006
FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="stepcast" \
      org.opencontainers.image.description="Step-level image generation server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY deps/runtime.txt /opt/stepcast/share/runtime.txt
# hadolint ignore=SC2046,DL3008
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      $(grep -v '^#' /opt/stepcast/share/runtime.txt) \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=build /opt/stepcast /opt/stepcast
ENV PATH=/opt/stepcast/bin:$PATH
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Nothing is written but /tmp and what ticks cost; any uid works, and a volume can be written to under a read-only root.
RUN install -d -m 1777 /var/cache/stepcast
VOLUME /var/cache/stepcast
USER 65532:65532
EXPOSE 50051 50052 9464
# Loading a model may take minutes. The address is loopback, so that no proxy of the environment is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20m CMD ["stepcast", "health"]
# A drain takes drain.linger + drain.timeout: stop with --stop-timeout 140 (deploy/compose.yaml), not with Docker's 10 s.
STOPSIGNAL SIGTERM
# The first process of the container: it holds SIGTERM back from its first millisecond, and reads it once it can.
ENTRYPOINT ["stepcast-server"]
CMD ["--config", "/opt/stepcast/etc/config.yaml"]

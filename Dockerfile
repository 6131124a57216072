# syntax=docker/dockerfile:1
# The server with the bundled model. CPU by default; for NVIDIA GPUs: --build-arg CUDA=ON
# (the CUDA libraries come with the image; the host brings the driver and the NVIDIA container runtime).
FROM debian:12-slim AS build
ARG CUDA=OFF
WORKDIR /src
# Dependencies first: they change rarely, and this layer is the slow one.
COPY dev CMakeLists.txt CMakePresets.json ./
COPY deps deps
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends $(grep -v '^#' deps/apt.txt) \
 && rm -rf /var/lib/apt/lists/*
RUN ./dev deps $(test "$CUDA" = OFF || echo cuda)
COPY . .
RUN cmake --preset release -DSTEPCAST_CUDA=${CUDA} -DCMAKE_INSTALL_PREFIX=/opt/stepcast \
 && cmake --build build/release -j "$(nproc)" \
 && cmake --install build/release --strip

FROM debian:12-slim
LABEL org.opencontainers.image.title="stepcast" \
      org.opencontainers.image.description="Step-level image generation server" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libabsl20220623 libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libyaml-cpp0.7 \
      libspdlog1.10 libicu72 zlib1g libpng16-16 libturbojpeg0 libwebp7 libwebpmux3 \
 && rm -rf /var/lib/apt/lists/*
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
STOPSIGNAL SIGTERM
# The first process of the container: it holds SIGTERM back from its first millisecond, and reads it once it can.
ENTRYPOINT ["stepcast-server"]
CMD ["--config", "/opt/stepcast/etc/config.yaml"]

# Two targets: `cpu`, the default, and `gpu`. The steps are scripts in scripts/docker, which CI runs in an empty folder
# before it asks the result for predictions. Not tried, for want of a Docker engine: this file, its base image, and the
# health check and the stop signal under an engine. The version number of the base image has to be checked when it is.

# Debian with glibc, for ONNX Runtime, sharp and TensorFlow come without a build for musl.
FROM node:24-bookworm-slim AS build
WORKDIR /build
# All that .dockerignore lets through.
COPY . ./
RUN sh scripts/docker/build.sh && sh scripts/docker/assemble.sh /build /app

# Native TensorFlow, from the index that `--build-arg PIP_INDEX_URL=…` names, else the one that pip knows.
FROM build AS tensorflow-cpu
ARG PIP_INDEX_URL
WORKDIR /app
RUN sh /build/scripts/docker/native.sh /tensorflow

FROM build AS tensorflow-cuda
ARG PIP_INDEX_URL
WORKDIR /app
RUN sh /build/scripts/docker/native.sh /tensorflow --cuda

FROM node:24-bookworm-slim AS base
WORKDIR /app
COPY --from=build --chown=node:node /app ./
ENV NODE_ENV=production SLIPWAY_HOST=0.0.0.0 SLIPWAY_PORT=8080 NODE_COMPILE_CACHE=/tmp/slipway-compile-cache
ENV SLIPWAY_TENSORFLOW_FOLDER=/opt/slipway/tensorflow
USER node
EXPOSE 8080 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "health.mjs"]
CMD ["node", "--max-semi-space-size=8", "bin/slipway.js"]

# With CUDA's libraries. The driver's are the host's: the NVIDIA container toolkit brings them in. Not tried on hardware.
FROM base AS gpu
COPY --from=tensorflow-cuda /tensorflow /opt/slipway/tensorflow
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM base AS cpu
COPY --from=tensorflow-cpu /tensorflow /opt/slipway/tensorflow

# Two targets: `cpu`, the default, and `gpu`. The steps are scripts in scripts/docker, which CI runs in an empty folder
# before it asks the result for a prediction. Not tried, for want of a Docker engine: this file, its base images, and the
# health check and the stop signal under an engine. The version numbers of the base images have to be checked when it is.

# Debian with glibc, for ONNX Runtime and sharp come without a build for musl.
FROM node:24-bookworm-slim AS build
WORKDIR /build
# All that .dockerignore lets through.
COPY . ./
RUN sh scripts/docker/build.sh && sh scripts/docker/assemble.sh /build /app

# CUDA's libraries for engines that find them. Those of this version run on the CPU, so nothing uses them yet; the image
# is there for deployments to be prepared. Not tried on hardware.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04 AS gpu
COPY --from=build /usr/local/bin/node /usr/local/bin/node
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node
WORKDIR /app
COPY --from=build --chown=node:node /app ./
ENV NODE_ENV=production SLIPWAY_HOST=0.0.0.0 SLIPWAY_PORT=8080 NODE_COMPILE_CACHE=/tmp/slipway-compile-cache
USER node
EXPOSE 8080 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "health.mjs"]
CMD ["node", "--max-semi-space-size=8", "bin/slipway.js"]

FROM node:24-bookworm-slim AS cpu
WORKDIR /app
COPY --from=build --chown=node:node /app ./
ENV NODE_ENV=production SLIPWAY_HOST=0.0.0.0 SLIPWAY_PORT=8080 NODE_COMPILE_CACHE=/tmp/slipway-compile-cache
USER node
EXPOSE 8080 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "health.mjs"]
CMD ["node", "--max-semi-space-size=8", "bin/slipway.js"]

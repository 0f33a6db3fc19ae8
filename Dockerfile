# The steps are scripts in scripts/docker, which CI runs in an empty folder. The Dockerfile itself, its base images
# and the health check under a Docker engine have not been tried.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json openapi.yaml LICENSE ./
COPY scripts ./scripts
COPY src ./src
COPY models ./models
RUN sh scripts/docker/build.sh && sh scripts/docker/assemble.sh /build /app

# CUDA's runtime libraries; no engine of this version uses them yet. Not tried on hardware.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04 AS gpu
COPY --from=build /usr/local/bin/node /usr/local/bin/node
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node
WORKDIR /app
COPY --from=build --chown=node:node /app ./
COPY scripts/docker/health.mjs ./
ENV NODE_ENV=production SLIPWAY_HOST=0.0.0.0 SLIPWAY_PORT=8080 NODE_COMPILE_CACHE=/tmp/slipway-compile-cache
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "health.mjs"]
CMD ["node", "dist/main.js"]

FROM node:24-bookworm-slim AS cpu
WORKDIR /app
COPY --from=build --chown=node:node /app ./
COPY scripts/docker/health.mjs ./
ENV NODE_ENV=production SLIPWAY_HOST=0.0.0.0 SLIPWAY_PORT=8080 NODE_COMPILE_CACHE=/tmp/slipway-compile-cache
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "health.mjs"]
CMD ["node", "dist/main.js"]

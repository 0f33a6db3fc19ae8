#!/bin/sh
# Builds what the image holds, in the current folder: compiled code and the dependencies that run it.
# The Dockerfile and CI call this same script.
set -eu

npm ci --no-audit --no-fund
npm run build

# From here on only what runs in production, for this platform.
npm prune --omit=dev --no-audit --no-fund
arch=$(node -p process.arch)
for folder in node_modules/onnxruntime-node/bin/napi-v*/*/*; do
  case "$folder" in
    */linux/"$arch") ;;
    *) rm -rf "$folder" ;;
  esac
done
for folder in node_modules/webgpu/dist/*; do
  case "$folder" in
    */linux-"$arch") ;;
    *) rm -rf "$folder" ;;
  esac
done
# Source maps, type declarations and the second copy of Swagger UI are for people who debug or compile, not for serving.
find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
rm -f node_modules/swagger-ui-dist/swagger-ui-es-bundle*.js node_modules/swagger-ui-dist/swagger-ui.js

#!/bin/sh
# Copies what the image needs out of a built folder. Usage: assemble.sh BUILT TARGET
set -eu

built=$1
target=$2
mkdir -p "$target"
for name in package.json openapi.yaml bin dist node_modules models proto LICENSE; do
  cp -R "$built/$name" "$target/$name"
done
cp "$built/scripts/docker/health.mjs" "$target/"
# Where the server keeps its own records; the image's user may write here and into models.
mkdir -p "$target/state"

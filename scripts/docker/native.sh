#!/bin/sh
# Installs native TensorFlow for the image, with what it needs to be built. In the folder of the assembled image.
# Usage: native.sh TARGET [--cuda]. The Dockerfile and CI call this same script.
set -eu

target=$1
shift
# pip says which index is to be asked where PIP_INDEX_URL does not.
if ! command -v g++ >/dev/null || { [ -z "${PIP_INDEX_URL:-}" ] && ! python3 -m pip --version >/dev/null 2>&1; }; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends g++ python3-pip ca-certificates
fi
"${NODE_BINARY:-node}" bin/slipway.js native install --folder "$target" "$@"

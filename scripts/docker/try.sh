#!/bin/sh
# Builds the image's content in an empty folder and asks it for a prediction, as the image would be used.
# Usage: try.sh REPOSITORY
set -eu

repository=$(cd "$1" && pwd)
work=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# What .dockerignore lets into the build, and nothing else.
mkdir "$work/build" "$work/app"
(cd "$repository" && tar -cf - package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json openapi.yaml LICENSE scripts src models) | tar -xf - -C "$work/build"
(cd "$work/build" && sh scripts/docker/build.sh)
sh "$work/build/scripts/docker/assemble.sh" "$work/build" "$work/app"
cp "$work/build/scripts/docker/health.mjs" "$work/app/"
node_binary=${SLIPWAY_NODE:-$repository/node_modules/.bin/node}
echo "the image's content without Node: $(du -sh "$work/app" | cut -f1)"

cd "$work/app"
"$node_binary" dist/main.js --port 0 > "$work/log" &
server=$!
port=
tries=0
while [ -z "$port" ] || ! grep -q '"msg":"ready:' "$work/log"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 200 ]; then echo "the server did not become ready:"; cat "$work/log"; exit 1; fi
  sleep 0.1
  port=$(sed -n 's/.*listening on http:\/\/[^:]*:\([0-9]*\).*/\1/p' "$work/log")
done
SLIPWAY_PORT=$port "$node_binary" health.mjs
answer=$(curl -sS --data-binary @"$repository/test/fixtures/images/seven.png" -H 'content-type: image/png' "http://127.0.0.1:$port/predict?model=digits")
echo "$answer"
case "$answer" in
  *'"predictions":[{"label":"7"'*) echo "the built server recognises the digit" ;;
  *) echo "the built server does not recognise the digit"; exit 1 ;;
esac

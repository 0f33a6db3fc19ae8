#!/bin/sh
# Builds the image's content in an empty folder and asks it for a prediction, as the image would be used.
# Usage: try.sh REPOSITORY. NODE_BINARY names the Node that runs the result; by default the one that npm brought.
set -eu

repository=$(cd "$1" && pwd)
node_binary=${NODE_BINARY:-$repository/node_modules/.bin/node}
work=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

# What .dockerignore lets into the build, and nothing else.
mkdir "$work/build" "$work/app"
(cd "$repository" && sed -n 's/^!//p' .dockerignore | tar -cf - -T -) | tar -xf - -C "$work/build"
(cd "$work/build" && sh scripts/docker/build.sh)
sh "$work/build/scripts/docker/assemble.sh" "$work/build" "$work/app"
echo "the image's content without Node: $(du -sh "$work/app" | cut -f1)"
cp "$work/build/scripts/docker/native.sh" "$work/"
# Only what the image holds may be needed.
rm -rf "$work/build"

cd "$work/app"
# Where native TensorFlow can be installed, it was for the tests.
native=
if "$node_binary" bin/slipway.js native status >/dev/null 2>&1; then
  native=yes
  NODE_BINARY=$node_binary sh "$work/native.sh" "$work/tensorflow"
  cp -R "$repository/test/fixtures/models/times-three-saved" models/
else
  echo "skipped: native TensorFlow in the image (npx slipway native install)"
fi
"$node_binary" --max-semi-space-size=8 bin/slipway.js --port 0 --grpc-port 0 --tensorflow-folder "$work/tensorflow" >"$work/log" &
server=$!
port=
tries=0
while [ -z "$port" ] || ! grep -q '"msg":"ready:' "$work/log"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
    echo "the server did not become ready:"
    cat "$work/log"
    exit 1
  fi
  sleep 0.1
  port=$(sed -n 's/.*listening on http:\/\/[^:]*:\([0-9]*\).*/\1/p' "$work/log")
done

SLIPWAY_PORT=$port "$node_binary" health.mjs
if SLIPWAY_PORT=1 "$node_binary" health.mjs 2>/dev/null; then
  echo "the health check passes where nothing listens"
  exit 1
fi
IMAGE=$repository/test/fixtures/images/seven.png PORT=$port "$node_binary" --input-type=module --eval '
  import { readFileSync } from "node:fs";
  const answer = await fetch(`http://127.0.0.1:${process.env.PORT}/predict?model=digits`, {
    method: "POST",
    headers: { "content-type": "image/png" },
    body: readFileSync(process.env.IMAGE),
  });
  const text = await answer.text();
  console.log(text);
  if (JSON.parse(text).predictions?.[0]?.label !== "7") throw new Error("the built server does not recognise the digit");
'
if [ -n "$native" ]; then
  PORT=$port "$node_binary" --input-type=module --eval '
    const answer = await fetch(`http://127.0.0.1:${process.env.PORT}/models/times-three-saved/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs: [2] }),
    });
    const text = await answer.text();
    console.log(text);
    if (JSON.parse(text).outputs?.y?.[0] !== 6) throw new Error("the built server does not serve the SavedModel");
  '
fi
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
if [ "$status" -ne 0 ]; then
  echo "the server ended with status $status after SIGTERM"
  exit 1
fi
echo "the built server recognises the digit and stops cleanly"

#!/bin/sh
# Starts this checkout's server on free ports and calls it with the clients that others wrote, each installed from PyPI, in
# the versions of requirements/, into a temporary folder. The last line is `N passed, N failed, N skipped`; the status is 0
# only when nothing failed. Usage: run.sh [NAME...], of triton, kserve, tensorflow-serving, onnx, schemathesis, grpcurl;
# all by default.
# PYTHON names the Python (3.11 to 3.13), SCHEMATHESIS_EXAMPLES how many cases each operation gets (40).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
node=$repository/node_modules/.bin/node
grpcurl_version=v1.9.3
passed=0
failed=0
skipped=0
work=$(mktemp -d)
server=

stop_server() {
  if [ -z "$server" ]; then return; fi
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
cleanup() {
  stop_server
  # Go keeps its modules read-only.
  chmod -R u+w "$work" && rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  if [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]; then exit 0; fi
  exit 1
}
# failure WHAT: one check that failed and is not counted by its own lines
failure() {
  failed=$((failed + 1))
  echo "FAILED  $1"
}

# python_is_fit COMMAND: that Python can make virtual environments and is of a version that the requirements are for
python_is_fit() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}
find_python() {
  for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if python_is_fit "$python"; then return 0; fi
  done
  return 1
}

# start_server: a server with models of its own; sets server, http, grpc
start_server() {
  stop_server
  folder=$(mktemp -d "$work/server.XXXXXX")
  mkdir "$folder/models"
  for model in times-three multi dtypes digits-layers multi-layers sequence-layers transformer-layers; do cp -R "$repository/test/fixtures/models/$model" "$folder/models/"; done
  cp -R "$repository/models/digits" "$folder/models/"
  echo '{"labels":{"stable":1}}' >"$folder/models/times-three/slipway-model.json"
  (cd "$folder" && exec "$node" "$repository/bin/slipway.js" --port 0 --grpc-port 0 --models "$folder/models" --state "$folder/state" >"$folder/log" 2>&1) &
  server=$!
  tries=0
  until grep -q '"msg":"ready:' "$folder/log" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
      echo "the server did not become ready:"
      cat "$folder/log"
      failure 'the server'
      finish
    fi
    sleep 0.1
  done
  http=$(sed -n 's/.*listening on http:\/\/\([^"]*\)".*/\1/p' "$folder/log" | head -n 1)
  grpc=$(sed -n 's/.*listening for gRPC on \([^"]*\)".*/\1/p' "$folder/log" | head -n 1)
}

# count STATUS: counts the lines of $work/out; a program that ended badly without saying what failed is one failure
count() {
  cat "$work/out"
  ok=$(grep -c '^ok ' "$work/out" || true)
  bad=$(grep -c '^FAILED ' "$work/out" || true)
  passed=$((passed + ok))
  failed=$((failed + bad))
  if [ "$bad" -eq 0 ] && { [ "$1" -ne 0 ] || [ "$ok" -eq 0 ]; }; then failure "it ended with status $1 after $ok checks"; fi
}

# install NAME: its requirements, into $work/NAME
install() {
  echo "== $1: installing $(sed -n 's/^# Asked for: \([^.]*\)\..*/\1/p' "$here/requirements/$1.txt")"
  if ! "$python" -m venv "$work/$1" || ! "$work/$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements/$1.txt"; then
    failure "installing the clients of $1"
    return 1
  fi
}

# check NAME PROGRAM [ARGUMENT]: one of the programs here, with the Python of NAME
check() {
  name=$1
  program=$2
  shift 2
  echo "== $program $*"
  status=0
  TF_CPP_MIN_LOG_LEVEL=3 timeout 180 "$work/$name/bin/python" "$here/$program" "$@" --http "$http" --grpc "$grpc" >"$work/out" 2>"$work/err" || status=$?
  if [ "$status" -ne 0 ]; then tail -n 20 "$work/err"; fi
  count "$status"
}

# discard NAME: its environment, which may be some gigabytes
discard() {
  rm -rf "${work:?}/$1"
}

run_triton() {
  install triton || return 0
  check triton tritonclient_test.py
  check triton reflection_test.py
  check triton mlserver_test.py
  check triton readme_snippets.py Triton
  discard triton
}
run_kserve() {
  install kserve || return 0
  check kserve kserve_test.py
  check kserve readme_snippets.py KServe
  discard kserve
}
run_tensorflow_serving() {
  install tensorflow-serving || return 0
  check tensorflow-serving tensorflow_serving_test.py
  check tensorflow-serving readme_snippets.py 'TensorFlow Serving'
  if "$node" "$repository/bin/slipway.js" native status >/dev/null 2>&1; then
    MODELS="$folder/models" check tensorflow-serving keras_export_test.py
  else
    skipped=$((skipped + 1))
    echo 'skipped keras_export_test.py: needs native TensorFlow (npx slipway native install)'
  fi
  discard tensorflow-serving
}

run_onnx() {
  install onnx || return 0
  check onnx onnx_export_test.py
  check onnx safetensors_test.py
  discard onnx
}

# schemathesis MORE...: one run over openapi.yaml, in a folder of its own because it leaves files where it runs
schemathesis() {
  what=$1
  shift
  echo "== schemathesis: $what"
  mkdir -p "$work/schemathesis-run"
  status=0
  (cd "$work/schemathesis-run" && cp "$here/schemathesis/"* . && timeout 240 "$work/schemathesis/bin/st" --config-file schemathesis.toml run "$repository/openapi.yaml" \
    --url "http://$http" --phases examples,coverage,fuzzing --max-examples "${SCHEMATHESIS_EXAMPLES:-40}" --warnings off --no-color \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance \
    "$@" >"$work/out.full" 2>&1) || status=$?
  if [ "$status" -ne 0 ]; then cat "$work/out.full"; fi
  # One line for what the run found as a whole.
  summary=$(grep -E '^ +[0-9,]+ generated' "$work/out.full" | head -n 1 | sed 's/^ *//' || true)
  if [ "$status" -eq 0 ]; then echo "ok      openapi.yaml, $what: ${summary:-}" >"$work/out"; else echo "FAILED  openapi.yaml, $what: ${summary:-}" >"$work/out"; fi
  count "$status"
  if ! kill -0 "$server" 2>/dev/null; then
    tail -n 20 "$folder/log"
    failure 'the server has ended'
  fi
}
run_schemathesis() {
  install schemathesis || return 0
  # First with models that stay, so that most operations meet one; then with a server of its own, all that takes models away too.
  schemathesis 'what changes no model' --exclude-method DELETE --exclude-path-regex '/unload$'
  start_server
  schemathesis 'every operation'
  start_server
  discard schemathesis
}

# grpcurl is a Go program. A machine without it and without Go has the same reflection tried by reflection_test.py.
run_grpcurl() {
  grpcurl=$(command -v grpcurl || true)
  if [ -z "$grpcurl" ] && command -v go >/dev/null; then
    echo "== grpcurl: installing $grpcurl_version"
    if ! GOBIN=$work/bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl_version" 2>"$work/err"; then
      tail -n 20 "$work/err"
      failure 'installing grpcurl'
      return 0
    fi
    grpcurl=$work/bin/grpcurl
  fi
  if [ -z "$grpcurl" ]; then
    skipped=$((skipped + 1))
    echo 'skipped grpcurl: neither it nor Go is on this machine'
    return 0
  fi
  # The commands of the README, as they stand but for the port.
  echo '== the grpcurl commands of README.md'
  sed -n 's/^grpcurl /&/p' "$repository/README.md" >"$work/commands"
  : >"$work/out"
  while IFS= read -r command; do
    changed=$(printf '%s' "$command" | sed "s/localhost:9000/$grpc/")
    if (
      PATH=$(dirname "$grpcurl"):$PATH
      cd "$repository" && timeout 60 sh -c "$changed"
    ) >"$work/answer" 2>&1; then echo "ok      $command" >>"$work/out"; else
      cat "$work/answer"
      echo "FAILED  $command" >>"$work/out"
    fi
  done <"$work/commands"
  count 0
}

if ! find_python && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo '== no Python 3.11 to 3.13 with venv: installing it by apt'
  apt-get update -qq && apt-get install -qq -y --no-install-recommends python3 python3-venv >/dev/null || true
fi
if ! find_python; then
  echo 'the clients need Python 3.11 to 3.13 with venv (Debian: apt-get install python3 python3-venv)'
  failure 'no fitting Python'
  finish
fi
if [ ! -x "$node" ]; then
  echo 'run npm ci first'
  failure 'the server is not installed'
  finish
fi

start_server
for name in ${*:-triton kserve tensorflow-serving onnx schemathesis grpcurl}; do
  case $name in
    triton) run_triton ;;
    kserve) run_kserve ;;
    tensorflow-serving) run_tensorflow_serving ;;
    onnx) run_onnx ;;
    schemathesis) run_schemathesis ;;
    grpcurl) run_grpcurl ;;
    *)
      echo "there are no clients called $name"
      failure "$name"
      ;;
  esac
done
# A graceful end, with status 0, is one more check.
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
if [ "$status" -eq 0 ]; then
  passed=$((passed + 1))
  echo 'ok      the server stops with status 0'
else failure "the server stopped with status $status"; fi
finish

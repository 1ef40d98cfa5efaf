#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shop_test.sh - the shop of examples/shop does what it promises, and leaves no process behind, however it ends.
#
# It takes a minute of real time, so it runs once: with the tests that the sanitizer builds leave out. With MESH_FULL set
# it is played whole, beside the plain client, and once more over HTTP/1.1.
# label: structure
# serial
set -uo pipefail

shop=${MESH_BUILD_DIR:?}/bin/shop
folder=$(mktemp -d "${TMPDIR:-/tmp}/meshcall-shop-test.XXXXXX")
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# One check: $1 says what, the rest is a command.
check()
{
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL  $what"
    fi
}

# Whether a process has this run's folder among its arguments. The pattern does not stand in those of grep, whose exit
# code says nothing where processes come and go.
any_left()
{
    [ -n "$(printf '%s' "$folder/$1" | grep -lsaF -f - /proc/[0-9]*/cmdline)" ]
}

# Waits until a command succeeds, for at most 20 s.
until_true()
{
    local end=$((SECONDS + 20))
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then return 1; fi
        read -rt 0.02 <> <(:) || true
    done
}

none_left()
{
    ! any_left "$1"
}

# Whether `mesh check` finds nothing in a program's configuration, and that has mutual TLS.
mesh_accepts()
{
    local document=$folder/whole/meshcall/$1.json
    grep -q '"mode": "mutual"' "$document" && "${shop%/*}/mesh" check "$document" | grep -q ': good, 0 warnings$'
}

# Starts the driver in a folder of its own with the options from $3 on, sends it signal $1 once orders are on their way,
# and takes its exit code.
interrupt()
{
    mkdir "$folder/$1"
    "$shop" driver "$folder/$1" "${@:3}" &
    local driver=$!
    until_true test -s "$folder/$1/meshcall/attempts.log" || echo "no order reaches payment"
    check "$1: the shop is there before" any_left "$1/meshcall"
    kill -s "$1" "$driver"
    wait "$driver"
    check "$1: the exit code is $2" test $? -eq "$2"
    check "$1: no process is left" until_true none_left "$1"
} 2>/dev/null

interrupt INT 130
interrupt TERM 143
interrupt KILL 137 --no-tls --http1
check 'without TLS there are no certificates' test ! -e "$folder/KILL/meshcall/certs"

# Plays it in the folder $1 with the options from $2 on.
play()
{
    mkdir "$folder/$1"
    "$shop" driver "$folder/$1" "${@:2}" | tee "$folder/output"
    local code=${PIPESTATUS[0]}
    passed=$((passed + $(grep -c '^PASS ' "$folder/output")))
    failed=$((failed + $(grep -c '^FAIL ' "$folder/output")))
    check "$1: every line of the judgement is there" test "$(grep -cE '^(PASS|FAIL) ' "$folder/output")" -eq 23
    check "$1: the exit code says whether a line failed" \
        test "$((code != 0))" -eq "$(($(grep -c '^FAIL ' "$folder/output") > 0))"
    check "$1: no process is left" none_left "$1"
}

if [ -n "${MESH_FULL:-}" ]; then
    play whole
    play http1 --http1 --no-contrast
else
    play whole --no-contrast
fi
for program in frontdoor order inventory payment shipping; do
    check "$program.json is right, and asks for mutual TLS" mesh_accepts "$program"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

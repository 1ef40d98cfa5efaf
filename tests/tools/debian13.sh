#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# debian13.sh - runs tests/run, with the arguments given, on a copy of the checkout in a Debian 13 tree.
#
# The tree is made once, in build/debian13, by debootstrap from where this machine's apt has its own release from, or
# from DEBIAN_MIRROR. Root does it, anybody else by sudo. What is mounted is mounted in a namespace of its own, which
# ends with the last process in it: nothing stays mounted, however this ends. The copy keeps its builds between runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8

release=trixie
tree=$PWD/build/debian13
copy=meshcall # below the tree's /srv

# Ends as a run of the tests does.
give_up()
{
    echo "  FAILED: $1"
    echo "0 passed, 1 failed"
    exit 1
}

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up 'a Debian 13 tree needs root or sudo'
    exec sudo --preserve-env=DEBIAN_MIRROR,FUZZ_SECONDS,http_proxy,https_proxy,no_proxy "$0" "$@"
fi

# Where apt has this machine's release from. Its other entries (updates, security) have other names for it.
mirror()
{
    # shellcheck disable=SC2016,SC1091
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
        sed -n "s/^$(. /etc/os-release && echo "$VERSION_CODENAME") //p" | head -1
}

make_tree()
{
    local from=${DEBIAN_MIRROR:-$(mirror)}
    if [ -z "$from" ]; then
        echo "debian13: apt does not tell where Debian is to be had; set DEBIAN_MIRROR" >&2
        return 1
    fi
    rm -rf --one-file-system "$tree.part" && debootstrap --variant=minbase "$release" "$tree.part" "$from" || return 1
    apt-config dump | grep -E '^Acquire::[a-z]+::Proxy ' >"$tree.part/etc/apt/apt.conf.d/proxy"
    mv "$tree.part" "$tree"
}

# The files of the checkout, without what git does not look at.
sources()
{
    (cd "$1" && find . \( -name .git -o -name build -o -name 'build-*' -o -name .cache -o -name __pycache__ \) -prune -o \
        -type f -print)
}

# Makes the copy the same as the checkout. Only files that differ are written, with the time of now: so what was built
# from them before is built again, and nothing else is.
copy_sources()
{
    local to=$tree/srv/$copy name
    mkdir -p "$to"
    sources "$to" | while read -r name; do
        [ -e "$name" ] || rm -f "$to/$name"
    done
    sources . | while read -r name; do
        if ! cmp -s "$name" "$to/$name"; then
            mkdir -p "$to/${name%/*}" && rm -f "$to/$name" && cp --preserve=mode "$name" "$to/$name" || return 1
        elif [ -x "$name" ] && [ ! -x "$to/$name" ]; then
            chmod +x "$to/$name"
        fi
    done
}

# It runs on either release, and is brought by this machine's pip.
copy_envoy()
{
    local envoy
    envoy=$(tests/tools/envoy.sh) && mkdir -p "$1/build/envoy" && cp -u "$envoy" "$1/build/envoy/"
}

# The rest runs in a mount namespace: this machine's /dev and /proc within the tree, and nowhere else.
enter()
{
    mount --rbind /dev "$tree/dev" && mount --rbind /proc "$tree/proc" || give_up 'nothing can be mounted here'
    cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
    # Whom this machine trusts, for what is fetched through its network: Go's modules.
    local trusted=
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
        trusted=/etc/machine-authorities.pem
        cp -L /etc/ssl/certs/ca-certificates.crt "$tree$trusted"
    fi
    exec chroot "$tree" env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${trusted:+SSL_CERT_FILE="$trusted"} ${FUZZ_SECONDS:+FUZZ_SECONDS="$FUZZ_SECONDS"} ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
        "/srv/$copy/tests/run" "$@"
}

if [ "${1:-}" = --inside ]; then
    shift
    enter "$@"
fi
mkdir -p build
if [ ! -d "$tree" ]; then
    start=$SECONDS
    if ! { tests/tools/install-packages.sh debian13 && make_tree; } >build/debian13.log 2>&1; then
        tail -20 build/debian13.log | sed 's/^/    | /'
        give_up 'the Debian 13 tree could not be made'
    fi
    echo "debian13: made the tree, $((SECONDS - start)) s"
fi
copy_sources || give_up 'the checkout could not be copied'
copy_envoy "$tree/srv/$copy" || give_up 'Envoy could not be had'
unshare --mount true || give_up 'there are no mount namespaces here'
exec unshare --mount --propagation private "$0" --inside "$@"

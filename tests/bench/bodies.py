#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# bodies.py - a body of 1 GiB each way, in pieces: the rate beside curl's, and how far the client's memory grows.
#
#   tests/bench/bodies.py [BUILD] [ROUNDS] [MIB]     BUILD is a release build with tests (build/release), ROUNDS is 3
#
# The library's server, on one CPU, serves both clients, which run in turn on another. Of the rounds the best is shown.
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
SIZE = (int(sys.argv[3]) if len(sys.argv) > 3 else 1024) << 20
BENCH = BUILD / "tests" / "bench" / "bench-bodies"
CPUS = sorted(os.sched_getaffinity(0))
SERVER, CLIENT = ["taskset", "-c", str(CPUS[0])], ["taskset", "-c", str(CPUS[-1])]


def by_curl(address, protocol, way):
    words = [*CLIENT, "curl", "-sf", "-o", "/dev/null", "-w", "%{time_total}",
             "--http2-prior-knowledge" if protocol == "http2" else "--http1.1"]
    if way == "down":
        out = subprocess.run([*words, f"http://{address}/{SIZE}"], check=True, stdout=subprocess.PIPE).stdout
    else:
        with subprocess.Popen(["head", "-c", str(SIZE), "/dev/zero"], stdout=subprocess.PIPE) as zeros:
            out = subprocess.run([*words, "-T", "-", "-X", "POST", "-H", "Expect:", f"http://{address}/"], check=True,
                                 stdin=zeros.stdout, stdout=subprocess.PIPE).stdout
    return SIZE / 1e6 / float(out)


def by_mesh(config, way):
    out = subprocess.run([*CLIENT, BENCH, way, config, str(SIZE)], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def main():
    with tempfile.TemporaryDirectory(prefix="mesh-bodies-") as folder:
        server = pathlib.Path(folder, "server.json")
        server.write_text(json.dumps({"servers": {"bodies": {"listen": "127.0.0.1:0"}}}))
        with subprocess.Popen([*SERVER, BENCH, "serve", server], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as running:
            address = running.stdout.readline().decode().strip()
            for protocol in ("http1", "http2"):
                config = pathlib.Path(folder, f"{protocol}.json")
                config.write_text(json.dumps(
                    {"services": {"bodies": {"endpoints": [address], "protocol": protocol}}}))
                for way in ("down", "up"):
                    ours, theirs = [], []
                    for _ in range(ROUNDS):
                        ours.append(by_mesh(config, way))
                        theirs.append(by_curl(address, protocol, way))
                    best = max(one["mb_per_s"] for one in ours)
                    print(f"{protocol} {way:<4}  mesh {best:7.0f} MB/s   curl {max(theirs):7.0f} MB/s   "
                          f"ratio {best / max(theirs):.2f}   memory grew by {max(one['grown_kb'] for one in ours)} KiB")
            running.stdin.close()


if __name__ == "__main__":
    main()

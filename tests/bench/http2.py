#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# http2.py - GET over one HTTP/2 connection with 100 calls in flight, in plain text: rate and CPU beside h2load's.
#
#   tests/bench/http2.py [BUILD] [ROUNDS] [REQUESTS]     BUILD is a release build (build/release), ROUNDS is 7
#
# nghttpd, on one CPU, serves both clients, which run in turn on another. CPU is all that a client's process used, its
# start included. Printed: the median, with the least and the most, and the ratio of the medians.
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 7
REQUESTS = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
CPUS = sorted(os.sched_getaffinity(0))
PORT = 29480


def run(words):
    child = subprocess.Popen(["taskset", "-c", str(CPUS[-1]), *map(str, words)], stdout=subprocess.PIPE)
    out = child.stdout.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    if status != 0:
        raise SystemExit(f"{words[0]} failed: {out}")
    return out, 1e6 * (used.ru_utime + used.ru_stime) / REQUESTS


def by_mesh(config):
    out, cpu = run([BUILD / "bin" / "mesh", "bench", "-c", config, "web", "GET", "/small", "-n", 100, "-r", REQUESTS,
                    "--json", "-f"])
    report = json.loads(out)
    assert report["errors"] == 0, out
    return report["rps"], cpu


def by_h2load():
    out, cpu = run(["h2load", "-n", REQUESTS, "-c", 1, "-m", 100, "-t", 1, f"http://127.0.0.1:{PORT}/small"])
    assert f"{REQUESTS} succeeded" in out, out
    return float(re.search(r"([0-9.]+) req/s", out).group(1)), cpu


def show(name, figures):
    rates, cpus = [one[0] for one in figures], [one[1] for one in figures]
    print(f"{name:<8} {statistics.median(rates):9.0f}/s ({min(rates):.0f} to {max(rates):.0f})   "
          f"{statistics.median(cpus):6.2f} us CPU ({min(cpus):.2f} to {max(cpus):.2f})")
    return statistics.median(rates), statistics.median(cpus)


def await_listening():
    while True:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", PORT)) == 0:
                return


def main():
    with tempfile.TemporaryDirectory(prefix="mesh-http2-bench-") as folder:
        pathlib.Path(folder, "small").write_text("x" * 66)
        config = pathlib.Path(folder, "mesh.json")
        config.write_text(json.dumps(
            {"services": {"web": {"endpoints": [f"127.0.0.1:{PORT}"], "protocol": "http2"}}}))
        server = subprocess.Popen(["taskset", "-c", str(CPUS[0]), "nghttpd", "-n1", "-d", folder, "--no-tls", str(PORT)],
                                  stdout=subprocess.DEVNULL)
        try:
            await_listening()
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(by_mesh(config))
                theirs.append(by_h2load())
        finally:
            server.terminate()
            server.wait()
    rate, cpu = show("mesh", ours)
    their_rate, their_cpu = show("h2load", theirs)
    print(f"mesh against h2load: {rate / their_rate:.2f} of the rate, {cpu / their_cpu:.2f} times the CPU")


if __name__ == "__main__":
    main()

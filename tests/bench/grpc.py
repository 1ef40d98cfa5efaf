#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# grpc.py - what a unary gRPC call costs a client, beside gRPC C++, against the same grpc-go server in the same run.
#
#   tests/bench/grpc.py [BUILD] [ROUNDS] [CALLS]     BUILD is a release build with tests (build/release), 5, 30000
#
# It needs g++, pkg-config and libgrpc++-dev. The server runs on one CPU and the clients, in turn, on another. "Calls a
# second of a client's CPU" are what one core would make if the client did nothing but wait for nobody: a million
# microseconds by those of its own CPU (user and system) a call. Of the rounds the best is shown, with the median behind
# it; the clients take turns within each.
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
CALLS = int(sys.argv[3]) if len(sys.argv) > 3 else 30000
HERE = pathlib.Path(__file__).resolve().parent
CPUS = sorted(os.sched_getaffinity(0))
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="mesh-grpc-bench-"))
METHOD = "/grpc.testing.TestService/UnaryCall"
SIZES = (16, 1024, 65536)
FLIGHTS = {"one at a time": 1, "64 in flight": 64}


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def message(size):
    """A SimpleRequest: so many bytes, and as many asked for."""
    path = FOLDER / f"message-{size}"
    path.write_bytes(varint(2 << 3) + varint(size) + field(3, field(2, bytes(size))))
    return path


def run(cpu, *command):
    done = subprocess.run(["taskset", "-c", str(cpu), *map(str, command)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main():
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "grpc++"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.split()
    theirs, config = FOLDER / "grpc_cpp", FOLDER / "mesh.json"
    subprocess.run(["g++", "-O2", "-std=c++17", "-o", theirs, HERE / "grpc_cpp.cc", *flags], check=True)
    server = subprocess.Popen(["taskset", "-c", str(CPUS[0]), BUILD / "tests/interop/grpc_go"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().strip()
    config.write_text(json.dumps({"services": {"echo": {"endpoints": [address], "protocol": "http2"}}}))
    print(f"{'':28} {'Meshcall':>20} {'gRPC C++':>20}   calls a second of a client's CPU")
    try:
        for size in SIZES:
            for name, flight in FLIGHTS.items():
                body, calls = message(size), CALLS if size < 65536 else CALLS // 10
                rates = {"ours": [], "theirs": []}
                for _ in range(ROUNDS):
                    ours = run(CPUS[-1], BUILD / "bin/mesh", "bench", "-c", config, "--grpc", "echo", METHOD, "-d",
                               f"@{body}", "-n", flight, "-r", calls, "--json", "--fail")
                    rates["ours"].append(1e6 / ours["cpu_us"])
                    other = run(CPUS[-1], theirs, address, METHOD, body, calls, 0 if flight == 1 else flight)
                    rates["theirs"].append(1e6 / other["cpu_us"])
                best, middle = ({k: f(v) for k, v in rates.items()} for f in (max, statistics.median))
                print(f"{f'{size} bytes, {name}':28} {best['ours']:10.0f} {middle['ours']:9.0f} {best['theirs']:10.0f} "
                      f"{middle['theirs']:9.0f}   {best['ours'] / best['theirs']:.2f} x, median "
                      f"{middle['ours'] / middle['theirs']:.2f} x", flush=True)
    finally:
        server.stdin.close()
        server.wait()
        shutil.rmtree(FOLDER)


main()

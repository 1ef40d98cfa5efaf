#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# tls.py - what TLS costs a client, beside OpenSSL's s_time and curl, against the same nginx in the same run.
#
#   tests/bench/tls.py [BUILD] [ROUNDS]     BUILD is a release build with tests (build/release), ROUNDS is 5
#
# nginx runs on one CPU and the clients, in turn, on another. All figures are microseconds of a client's own CPU (user
# and system) a connection or a request; of the rounds the least is shown, with the median behind it. Handshakes and the start of the
# program are in the figures of connections that are kept; requests are many. nginx demands a
# certificate, TLS 1.2, and lets the client choose the cipher suite.
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
MESH = BUILD / "bin" / "mesh"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="mesh-tls-bench-"))
SIZES = {256: 60000, 16384: 10000, 1 << 20: 200}
IN_FLIGHT = 8
PORTS = {"full": 29443, "resumed": 29444, "plain": 29445}
CERTS = {name: FOLDER / "certs" / name for name in ("client.pem", "client.key", "server.pem", "server.key", "bundle.pem")}

NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000; root {folder};
    ssl_certificate {certs}/server.pem; ssl_certificate_key {certs}/server.key;
    ssl_client_certificate {certs}/bundle.pem; ssl_verify_client on;
    ssl_protocols TLSv1.2; ssl_prefer_server_ciphers off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    server {{ listen 127.0.0.1:{full} ssl; ssl_session_tickets off; ssl_session_cache none; }}
    server {{ listen 127.0.0.1:{resumed} ssl; ssl_session_tickets on; ssl_session_cache shared:s:1m; }}
    server {{ listen 127.0.0.1:{plain}; }}
}}
"""


def start_nginx():
    subprocess.run([MESH, "certs", "--trust-domain", "bench", "--out", FOLDER / "certs", "--dns", "127.0.0.1",
                    "--dns", "localhost", "client", "server"], check=True, stdout=subprocess.DEVNULL)
    FOLDER.chmod(0o755)
    for size in SIZES:
        (FOLDER / str(size)).write_bytes(b"x" * size)
    (FOLDER / "nginx.conf").write_text(NGINX.format(folder=FOLDER, certs=FOLDER / "certs", **PORTS))
    return subprocess.Popen(["taskset", "-c", str(SERVER_CPU), "nginx", "-p", FOLDER, "-c", "nginx.conf", "-e",
                             "error.log"], stdin=subprocess.DEVNULL)


def await_listening(port):
    while True:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return


def config(name, port, **more):
    secure = {} if port == PORTS["plain"] else {
        "tls": {"mode": "mutual", "verify": "name", "name": "localhost"}}
    document = {"services": {"web": {"endpoints": [f"127.0.0.1:{port}"], "protocol": "http1", **secure, **more}},
                "identity": {"certificate": str(CERTS["client.pem"]), "key": str(CERTS["client.key"]),
                             "trust": {"bench": str(CERTS["bundle.pem"])}}}
    path = FOLDER / name
    path.write_text(json.dumps(document))
    return path


def run(words):
    """CPU seconds of a command on the clients' CPU, and what it printed."""
    child = subprocess.Popen(["taskset", "-c", str(CLIENT_CPU), *map(str, words)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: {err.decode()}")
    child.returncode = 0
    return used.ru_utime + used.ru_stime, out.decode()


def by_mesh(path, target, count, flight=1):
    used, out = run([MESH, "bench", "-c", path, "web", "GET", target, "-r", count, "--timeout", "10s", "--json", "-f",
                     "-n", flight])
    report = json.loads(out)
    assert report["errors"] == 0, out
    return 1e6 * used / count


def by_s_time(port, kind, seconds=2):
    used, out = run(["openssl", "s_time", "-connect", f"127.0.0.1:{port}", kind, "-time", seconds, "-www", "/256",
                     "-cert", CERTS["client.pem"], "-key", CERTS["client.key"], "-CAfile", CERTS["bundle.pem"],
                     "-tls1_2"])
    count = int(next(line for line in out.splitlines() if "real seconds" in line).split()[0])
    return 1e6 * used / count


def by_curl(port, count):
    used, _ = run(["curl", "-sf", "-o", "/dev/null", "-H", "Connection: close", "--http1.1", "--cacert",
                   CERTS["bundle.pem"], "--cert", CERTS["client.pem"], "--key", CERTS["client.key"],
                   f"https://localhost:{port}/256?[1-{count}]"])
    return 1e6 * used / count


def sizes_on_the_wire():
    """What one request is, and what nginx answers to each, head included."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = config("seen.json", PORTS["plain"], endpoints=[f"127.0.0.1:{server.getsockname()[1]}"])
        child = subprocess.Popen([MESH, "bench", "-c", path, "web", "GET", "/16384", "-r", "1"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peer, _ = server.accept()
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += peer.recv(65536)
        peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        peer.close()
        child.wait()
    answers = {}
    for size in SIZES:
        with socket.create_connection(("127.0.0.1", PORTS["plain"])) as sock:
            sock.sendall(f"GET /{size} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".encode())
            answers[size] = sum(iter(lambda: len(sock.recv(1 << 20)), 0))
    return len(request), answers


def rounds(rows):
    """Each row's figure, round by round, in turn."""
    seen = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, measure in rows.items():
            seen[name].append(measure())
    return seen


def show(title, seen, unit="us"):
    print(title)
    for name, figures in seen.items():
        print(f"  {name:<44} {min(figures):10.1f} {unit}   median {statistics.median(figures):10.1f}")


def connections():
    once = {"max_requests_per_connection": 1}
    full, resumed = config("full.json", PORTS["full"], **once), config("resumed.json", PORTS["resumed"], **once)
    seen = rounds({
        "full: mesh": lambda: by_mesh(full, "/256", 150),
        "full: openssl s_time": lambda: by_s_time(PORTS["full"], "-new"),
        "full: curl": lambda: by_curl(PORTS["full"], 500),
        "resumed: mesh": lambda: by_mesh(resumed, "/256", 5000),
        "resumed: openssl s_time": lambda: by_s_time(PORTS["resumed"], "-reuse"),
        "resumed: curl": lambda: by_curl(PORTS["resumed"], 1000),
    })
    show("a connection with one request, mutual", seen)
    print(f"  resumed against full, mesh: {min(seen['full: mesh']) / min(seen['resumed: mesh']):.1f} times as many\n")


def cost_of(*sizes):
    _, out = run([BUILD / "tests" / "bench" / "bench-tls_cost", *sizes])
    return json.loads(out)


def kept():
    plain, secure = config("plain.json", PORTS["plain"]), config("kept.json", PORTS["resumed"])
    request, answers = sizes_on_the_wire()
    for size, count in SIZES.items():
        seen = rounds({"plain text": lambda: by_mesh(plain, f"/{size}", count, IN_FLIGHT),
                       "TLS": lambda: by_mesh(secure, f"/{size}", count, IN_FLIGHT)})
        cost = cost_of(request, answers[size])["records"]
        bound = cost[str(request)]["write_us"] + cost[str(answers[size])]["read_us"]
        show(f"a request with {size} bytes of body, {IN_FLIGHT} in flight on connections that are kept", seen)
        ratio = min(seen["TLS"]) / (min(seen["plain text"]) + bound)
        words = f"cipher: {request} bytes written, {answers[size]} read"
        print(f"  {words:<44} {bound:10.1f} us\n  TLS against plain text and cipher: {ratio:.2f}\n")


def calls_beside_handshakes():
    secure = {"tls": {"mode": "mutual", "verify": "name", "name": "localhost"}, "protocol": "http1", "timeout": "30s",
              "limits": {"max_connections": 200}}
    document = json.loads(config("both.json", PORTS["full"]).read_text())
    document["services"] = {
        "kept": {"endpoints": [f"127.0.0.1:{PORTS['full']}"], **secure},
        "new": {"endpoints": [f"127.0.0.1:{PORTS['full']}"], "max_requests_per_connection": 1, **secure}}
    (FOLDER / "both.json").write_text(json.dumps(document))
    print("a call on an open connection, CPU of the thread that drives the loop")
    for _ in range(ROUNDS):
        used, out = run([BUILD / "tests" / "bench" / "bench-tls_calls", FOLDER / "both.json"])
        for name, seen in json.loads(out).items():
            print(f"  {name:<32} p50 {seen['p50_us']:6.1f} us   p99 {seen['p99_us']:6.1f}   most {seen['max_us']:8.1f}"
                  f"   of {seen['calls']}")
    print()


def main():
    cost = cost_of(256, 16384, 1 << 20)
    print(f"{cost['backend']}, {cost['suite']}; in memory, without a network:")
    for kind in ("full_mutual", "full_simple", "resumed_mutual"):
        one = cost[kind]
        print(f"  {kind:<16} client {one['client_us']:8.1f} us = {1e6 / one['client_us']:7.0f}/s   "
              f"server {one['server_us']:8.1f} us = {1e6 / one['server_us']:7.0f}/s")
    for size, one in cost["records"].items():
        print(f"  {size:>8} bytes: written at {int(size) / one['write_us']:6.0f} MB/s, "
              f"read at {int(size) / one['read_us']:6.0f} MB/s")
    print()
    nginx = start_nginx()
    try:
        for port in PORTS.values():
            await_listening(port)
        connections()
        kept()
        calls_beside_handshakes()
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(FOLDER)
    _, out = run(["openssl", "speed", "-seconds", "1", "-bytes", "16384", "-evp", "chacha20-poly1305"])
    print("OpenSSL, ChaCha20-Poly1305, 16384 bytes: " + out.split()[-1])


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# mesh_nginx_test.py - the library against nginx, through the tool: framing, keep-alive, limits, reload and restart.
# label: threaded
# long
import mesh_peers as peers
from mesh_peers import mesh

PLACES = """
        location = / { return 200 "hello"; }
        location = /503 { return 503 "busy"; }
        location = /204 { return 204; }
        location = /304 { return 304; }
        location = /close { keepalive_timeout 0; return 200 "bye"; }
        location = /chunked { ssi on; ssi_types *; try_files /page =404; }
        location = /empty { ssi on; ssi_types *; try_files /nothing =404; }
        location = /continue { client_max_body_size 1k; client_body_buffer_size 1m; try_files /page =404; }
        location = /cut { limit_rate 1; try_files /large =404; }
"""
RETRY = {"attempts": 4, "on": ["connect-failure", "refused", "reset-before-request", "reset"]}

tally = peers.Tally()


def get(path, service, target, *words, method="GET"):
    done = mesh("call", "-c", path, service, method, target, *words, "--json")
    return done.code, done.json()


def value(seen, name):
    return next((header["value"] for header in seen["headers"] if header["name"].lower() == name), None)


def test_answers():
    nginx = peers.Nginx(PLACES)
    page = "".join(f"line {i}\n" for i in range(5000))
    (nginx.folder / "page").write_text(page)
    (nginx.folder / "nothing").write_text("")
    (nginx.folder / "large").write_bytes(bytes(3 << 20))
    path = peers.config("answers.json", {"web": [nginx.address],
                                         "small": {"endpoints": [nginx.address], "max_body": "1MiB"},
                                         "head": {"endpoints": [nginx.address], "max_headers": 2}})
    for method, target, status, body, length in (
            ("GET", "/", 200, "hello", "5"), ("HEAD", "/", 200, "", "5"), ("GET", "/204", 204, "", None),
            ("GET", "/304", 304, "", None), ("GET", "/503", 503, "busy", "4"), ("GET", "/close", 200, "bye", "3"),
            ("GET", "/chunked", 200, page, None), ("HEAD", "/chunked", 200, "", None), ("GET", "/empty", 200, "", "0"),
            ("GET", "/page", 200, page, str(len(page))), ("OPTIONS", "/", 200, "hello", "5")):
        code, seen = get(path, "web", target, method=method)
        tally.equal(f"{method} {target}", (code, seen["status"], seen["body"]), (0, status, body))
        if (method, target) == ("GET", "/chunked"):
            tally.equal(f"{method} {target}, framing", value(seen, "transfer-encoding"), "chunked")
        elif target not in ("/empty", "/304", "/chunked"):
            tally.equal(f"{method} {target}, Content-Length", value(seen, "content-length"), length)
    tally.equal("a large body", len(mesh("call", "-c", path, "web", "GET", "/large").out), 3 << 20)
    for service, target, error in (("small", "/large", "BODY_TOO_LARGE"), ("head", "/", "TOO_MANY_HEADERS")):
        code, seen = get(path, service, target)
        tally.equal(error, (code, seen["status"], seen["code"]), (3, 0, error))
    code, seen = get(path, "web", "/continue", "-d", "x" * 2000, method="POST")
    tally.equal("a request body beyond what nginx takes", (code, seen["status"]), (0, 413))
    code, seen = get(path, "web", "/cut", "--timeout", "150ms")
    tally.equal("a body that takes too long", (code, seen["code"]), (3, "DEADLINE"))
    nginx.end()


def bench(path, connections, requests, target="/"):
    done = mesh("bench", "-c", path, "web", "GET", target, "--connections", connections, "--requests", requests,
                "--json")
    return done.code, done.json()


def test_keep_alive():
    nginx = peers.Nginx(PLACES, settings="keepalive_requests 1000000;")
    path = peers.config("keep.json", {"web": {"endpoints": [nginx.address], "retry": RETRY}})
    for connections in (1, 16):
        code, seen = bench(path, connections, 3000)
        tally.equal(f"{connections} connections", (code, seen["statuses"], seen["errors"]), (0, {"200": 3000}, 0))
        tally.check(seen["connects"] <= connections, f"connections do not stay: {seen}")
        code, seen = bench(path, connections, 300, "/close")
        tally.equal("connections that close", (code, seen["statuses"], seen["connects"]), (0, {"200": 300}, 300))
        code, seen = bench(path, connections, 300, "/503")
        tally.equal("503", (code, seen["statuses"], seen["errors"]), (0, {"503": 300}, 0))
        tally.check(seen["connects"] <= connections, f"connections do not stay after 503: {seen}")
    (nginx.folder / "page").write_text("page " * 4000)
    code, seen = bench(path, 8, 500, "/chunked")
    tally.equal("chunked", (code, seen["statuses"], seen["errors"]), (0, {"200": 500}, 0))
    tally.check(seen["connects"] <= 8, f"connections do not stay after chunks: {seen}")
    nginx.end()
    nginx = peers.Nginx(PLACES, settings="keepalive_requests 10;")
    path = peers.config("few.json", {"web": [nginx.address]})
    for connections in (1, 8):
        code, seen = bench(path, connections, 800)
        tally.equal("ten requests a connection", (code, seen["statuses"]), (0, {"200": 800}))
        tally.check(80 <= seen["connects"] <= 80 + connections, f"ten requests a connection: {seen}")
    nginx.end()


def good(what, running, seen):
    """No call was lost, whatever nginx did meanwhile."""
    tally.equal(what, (running.code, seen["errors_by_kind"], list(seen["statuses"])), (130, {}, ["200"]))
    tally.equal(what, running.err, "")
    tally.check(seen["responses"] == seen["requests"] > 0, f"{what}: {seen}")


def test_reload(connections):
    nginx = peers.Nginx(PLACES)
    path = peers.config("reload.json", {"web": {"endpoints": [nginx.address], "retry": RETRY}})
    running = peers.Bench(path, "web", connections)
    worker = nginx.await_first_request()
    for _ in range(3):
        before = worker
        nginx.reload()
        while worker == before:  # connections of the old worker may still have been told of
            worker = nginx.await_first_request()
    good(f"reload with {connections}", running, running.end())
    nginx.end()


def test_restart(connections, killed):
    """Each of two goes while the other serves, and comes back; retries carry the calls over."""
    pair = [peers.Nginx(PLACES), peers.Nginx(PLACES)]
    path = peers.config("restart.json", {"web": {"endpoints": [nginx.address for nginx in pair],
                                                 "balancer": "round-robin", "retry": RETRY}})
    running = peers.Bench(path, "web", connections)
    workers = [nginx.await_first_request() for nginx in pair]
    for i in range(2):
        if killed:
            pair[i].kill(workers[i])
        else:
            pair[i].end()
        with peers.listener(pair[i].port) as sock:  # whoever comes meanwhile is sent away, at least one
            sock.settimeout(peers.LONG)
            sock.accept()[0].close()
        pair[i] = peers.Nginx(PLACES, pair[i].port)
        pair[i].await_first_request()
    seen = running.end()
    good(f"restart with {connections}, killed {killed}", running, seen)
    tally.check(seen["retries"] > 0, f"a restart went unnoticed: {seen}")
    for nginx in pair:
        nginx.end()


def test_loss():
    """One nginx that goes: calls fail by name, and the tool says so."""
    nginx = peers.Nginx(PLACES)
    path = peers.config("loss.json", {"web": [nginx.address]})
    code, seen = get(path, "web", "/")
    tally.equal("while it is there", (code, seen["status"]), (0, 200))
    nginx.end()
    with peers.listener(nginx.port):  # the port stays ours
        pass
    code, seen = get(path, "web", "/")
    tally.equal("when it has gone", (code, seen["code"]), (3, "CONNECT_REFUSED"))


test_answers()
test_keep_alive()
for number in (1, 8):
    test_reload(number)
    test_restart(number, killed=False)
    test_restart(number, killed=True)
test_loss()
tally.finish()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# mesh_tool_test.py - the tool's verbs: what they print, where, and what they exit with.
import base64
import json
import os
import pty
import re
import signal
import subprocess
import threading

import mesh_peers as peers
from mesh_peers import FOLDER, TOOL, mesh

tally = peers.Tally()
server, at = peers.echo_server()
refused = peers.refusing()
closed = peers.address(refused)
silent = peers.listener()  # connections stay in its backlog, unanswered
names = peers.NoSuchName()
CONFIG = peers.config("mesh.json", {
    "web": [at], "both": {"endpoints": [at, closed], "balancer": "round-robin"}, "dead": [closed],
    "silent": [peers.address(silent)], "again": {"endpoints": [at], "retry": {"attempts": 3, "on": ["503"]}},
    "named": {"discover": {"dns": "nothing.invalid:80"}, "timeout": "20s"}},
    dns={"servers": [names.address]})


def call(*words, **more):
    return mesh("call", "-c", CONFIG, *words, **more)


def bench(*words):
    return mesh("bench", "-c", CONFIG, *words)


def one_line(done, *words):
    """A complaint is one line on standard error that begins with the tool's name."""
    tally.check(re.fullmatch(r"mesh[^\n]*: [^\n]+\n", done.err), f"{words}: complains by {done.err!r}")
    tally.equal(f"{words}: standard output", done.out, b"")


def test_help():
    done = mesh("--help")
    tally.equal("--help", (done.code, done.err), (0, ""))
    tally.holds("--help", done.out.decode(), "check", "call", "bench", "Exit codes", "130")
    done = mesh("--version")
    tally.check(done.code == 0 and re.fullmatch(rb"mesh \d+\.\d+\.\d+ \(ABI \d+\)\n", done.out), f"{done.out!r}")
    for verb, words in (("check", ["--json"]), ("call", ["--header", "--timeout", "--verbose", "--idempotent"]),
                        ("bench", ["--connections", "--requests", "--duration"])):
        done = mesh(verb, "--help")
        tally.equal(f"{verb} --help", (done.code, done.err), (0, ""))
        tally.holds(f"{verb} --help", done.out.decode(), f"usage: mesh {verb}", "--json", *words)
    tally.check("--connections" not in mesh("call", "--help").out.decode(), "call has --connections")


USAGE = (
    (["cal"], 'did you mean "call"'), (["bnech"], 'did you mean "bench"'), (["xyzzy"], "mesh --help"),
    (["--versoin"], "there is no option"), (["check"], "mesh check FILE"), (["check", "a", "b"], "2 were given"),
    (["check", "--jsn", "a"], "did you mean --json"), (["check", "--json=1", "a"], "takes no value"),
    (["call"], "0 words were given"), (["call", "web", "GET", "/"], "-c FILE"),
    (["call", "-c"], "--config needs a value"), (["call", "-c", CONFIG, "web", "GET"], "2 words"),
    (["call", "-Q"], "there is no option -Q"), (["call", "--tiemout", "1s"], "did you mean --timeout"),
    (["call", "--qqqqqqqqqq"], "mesh call --help"),
    (["call", "-c", CONFIG, "web", "GET", "/", "--timeout", "soon"], "ns, us, ms"),
    (["call", "-c", CONFIG, "web", "GET", "/", "--timeout", "0s"], "more than 0"),
    (["call", "-c", CONFIG, "web", "GET", "/", "--timeout", "25h"], "at most 24h"),
    (["call", "-c", CONFIG, "web", "GET", "/", "-H", "colonless"], "a colon"),
    (["call", "-c", CONFIG, "web", "GET", "/", "-H", ": x"], "a name"),
    (["call", "-c", CONFIG, "web", "GET", "/", "-d", "a", "-d", "b"], "twice"),
    (["call", "-c", CONFIG, "web", "GET", "/", "-d", "@/no/such/file"], "cannot be read"),
    (["call", "-c", "-", "web", "POST", "/", "-d", "@-"], "both"),
    (["call", "-c", CONFIG, "wed", "GET", "/"], 'did you mean "web"'),
    (["call", "-c", CONFIG, "web", "G T", "/"], "method"), (["call", "-c", CONFIG, "web", "GET", "x"], "path"),
    (["call", "-c", CONFIG, "web", "GET", "/", "-H", "Host: x"], "header"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "--connections", "0"], "whole number from 1"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "--connections", "4x"], "whole number"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "--requests", "-1"], "whole number"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "--requests", "99999999999999999999999"], "whole number"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "--duration", "5"], "ns, us, ms"),
    (["bench", "-c", CONFIG, "web", "GET", "/", "-v"], "there is no option -v"),
    (["bench", "-c", CONFIG, "wed", "GET", "/"], 'did you mean "web"'),
    (["bench", "-c", CONFIG, "wed", "GET", "/", "--connections", "4"], 'did you mean "web"'),
    (["bench", "-c", CONFIG, "web", "GET", "x", "--connections", "4"], "path"),
)


def test_usage():
    done = mesh()
    tally.equal("no verb", done.code, 2)
    tally.holds("no verb", done.err, "usage: mesh")
    for words, complaint in USAGE:
        done = mesh(*words)
        tally.equal(f"{words}: exit code", done.code, 2)
        tally.holds(f"{words}", done.err, complaint)
        one_line(done, *words)


BAD = """{ "services": {
    "web": { "endpoints": ["localhost:80"],
             "timeot": "3s" },
    "pay": { "endpoints": ["127.0.0.1:1"], "timeout": "1s",
             "retry": { "per_try_timeout": "2s", "attempts": 0 } } } }
"""
POINTLESS = '{"services": {"a": {"endpoints": ["127.0.0.1:1"], "timeout": "1s",\n "retry": {"per_try_timeout": "2s"}}}}'


def test_check():
    done = mesh("check", CONFIG)
    tally.equal("a good one", (done.code, done.out.decode(), done.err), (0, f"{CONFIG}: good, 0 warnings\n", ""))
    bad, pointless, broken = FOLDER / "bad.json", FOLDER / "pointless.json", FOLDER / "broken.json"
    bad.write_text(BAD)
    pointless.write_text(POINTLESS)
    broken.write_text('{"services": {"a": {}},\n}')
    done = mesh("check", bad)
    lines = done.err.splitlines()
    tally.equal("a bad one", (done.code, done.out, len(lines)), (1, b"", 5))
    for line, place, word in zip(lines, ("2:27", "3:14", "5:54", "5:43"), ("localhost", "timeout", "attempts", "")):
        tally.check(line.startswith(f"{bad}:{place.split(':')[0]}:") and word in line, f"a bad one: {line}")
    tally.check(any(": warning: " in line and "per_try_timeout" in line for line in lines), f"no warning: {lines}")
    tally.holds("a bad one", lines[-1], "mesh check: ", "3 errors, 1 warning;")
    done = mesh("check", pointless)
    tally.equal("a pointless one", (done.code, done.out.decode()), (0, f"{pointless}: good, 1 warning\n"))
    tally.check(re.fullmatch(re.escape(str(pointless)) + r":2:\d+: warning: config: /services/a/retry/"
                             r"per_try_timeout: [^\n]+\n", done.err), f"a pointless one: {done.err}")
    done = mesh("check", broken)
    tally.check(done.code == 1 and done.err.startswith(f"{broken}:1:23: json: "), f"broken: {done.err}")
    done = mesh("check", FOLDER / "nothing.json")
    tally.equal("no file", done.code, 1)
    tally.holds("no file", done.err, "nothing.json: cannot be read")
    done = mesh("check", "-", feed=BAD.encode())
    tally.equal("standard input", done.code, 1)
    tally.holds("standard input", done.err, "<stdin>:3:")
    test_check_json(bad, pointless)
    for verb in ("call", "bench"):
        done = mesh(verb, "-c", bad, "web", "GET", "/")
        tally.equal(f"{verb} with a bad one", (done.code, done.out, done.err.count(f"{bad}:")), (1, b"", 3))


def test_check_json(bad, pointless):
    done = mesh("check", CONFIG, "--json")
    tally.equal("json", (done.code, done.json()), (0, {"file": str(CONFIG), "ok": True, "errors": [], "warnings": []}))
    done = mesh("check", "--json", bad)
    seen = done.json()
    tally.equal("json of a bad one", (done.code, done.err, seen["ok"]), (1, "", False))
    tally.equal("json, lines", [error["line"] for error in seen["errors"]], [2, 3, 5])
    tally.equal("json, warnings", len(seen["warnings"]), 1)
    tally.holds("json, message", seen["errors"][1]["message"], "config: /services/web/timeot: ", "timeout")
    tally.equal("json of a pointless one", mesh("check", "--json", pointless).json()["warnings"][0]["line"], 2)
    done = mesh("check", "--json", FOLDER / "nothing.json")
    tally.equal("json of no file", (done.code, len(done.json()["errors"])), (1, 1))


def test_call():
    done = call("web", "GET", "/a?b=c")
    seen = done.json()
    tally.equal("call", (done.code, done.err, seen["method"], seen["path"]), (0, "", "GET", "/a?b=c"))
    names = [name.lower() for name, _ in seen["headers"]]
    tally.check("traceparent" in names and "x-envoy-expected-rq-timeout-ms" in names, f"headers sent: {names}")
    done = call("web", "POST", "/", "-H", "x-team:  shop ", "-H", "X-Empty:", "-d", "order=1", "--authority", "pay.test")
    seen = done.json()
    headers = {name.lower(): value for name, value in seen["headers"]}
    tally.equal("headers", [headers.get(name) for name in ("x-team", "x-empty", "host")], ["shop", "", "pay.test"])
    tally.equal("body", (seen["method"], seen["body"]), ("POST", "order=1"))
    every = bytes(range(256)) * 300
    (FOLDER / "body").write_bytes(every)
    tally.equal("body of a file", call("web", "POST", "/bytes", "-d", f"@{FOLDER}/body").out, every)
    tally.equal("body of standard input", call("web", "POST", "/bytes", "-d", "@-", feed=every).out, every)
    tally.equal("an empty body", call("web", "POST", "/bytes", "-d", "").out, b"")
    done = mesh("call", "-c", "-", "web", "GET", "/", feed=CONFIG.read_bytes())
    tally.equal("configuration of standard input", done.code, 0)
    for words, code in ((["/503"], 0), (["/503", "--fail"], 4), (["/399", "--fail"], 0), (["/404", "-f"], 4)):
        done = call("web", "GET", *words)
        tally.equal(f"{words}", (done.code, b'"method"' in done.out, done.err.count("\n")), (code, True, code // 4))


def test_call_fails():
    done = call("dead", "GET", "/")
    tally.equal("a closed port", done.code, 3)
    tally.holds("a closed port", done.err, "CONNECT_REFUSED", closed, "check that the service listens there")
    one_line(done, "a closed port")
    done = call("silent", "GET", "/", "--timeout", "80ms")
    tally.equal("silence", done.code, 3)
    tally.holds("silence", done.err, "DEADLINE", "--timeout")
    done = call("named", "GET", "/")
    tally.equal("no such name", done.code, 3)
    tally.holds("no such name", done.err, "nothing.invalid", "discover")
    done = call("web", "GET", "/", "--endpoint", closed)
    tally.equal("a foreign endpoint", done.code, 3)
    tally.holds("a foreign endpoint", done.err, "NO_ENDPOINT", closed)
    done = call("both", "GET", "/", "--endpoint", closed)
    tally.equal("a pinned endpoint", done.code, 3)
    tally.holds("a pinned endpoint", done.err, "CONNECT_REFUSED")
    with open("/dev/full", "wb") as full:
        done = call("web", "GET", "/", stdout=full)
    tally.equal("a full disk", done.code, 5)
    tally.holds("a full disk", done.err, "standard output cannot be written")


def test_call_retries():
    for words, attempts, stop in ((["GET"], 3, "attempts"), (["GET", "--no-retry"], 1, "asked"),
                                  (["POST"], 1, "not-idempotent"), (["POST", "--idempotent"], 3, "attempts")):
        done = call("again", words[0], "/503", "--json", *words[1:])
        seen = done.json()
        tally.equal(f"retries of {words}", (done.code, seen["status"], len(seen["attempts"])), (0, 503, attempts))
        tally.equal(f"end of {words}", [seen["attempts"][-1]["stop"], seen["attempts"][0]["retry"]],
                    [stop, "status" if attempts > 1 else "none"])


def test_call_json():
    done = call("web", "POST", "/bytes", "-d", "gr\u00fc\u00df \"x\"\\\n\x01", "--json")
    seen = done.json()
    tally.equal("json", (done.code, done.err, seen["status"], seen["code"], seen["category"]), (0, "", 200, "OK", "ok"))
    tally.equal("json, body", seen["body"], "gr\u00fc\u00df \"x\"\\\n\x01")
    tally.check(re.fullmatch("[0-9a-f]{32}", seen["trace_id"]) and seen["duration_us"] > 0, f"json: {seen}")
    headers = {header["name"].lower(): header["value"] for header in seen["headers"]}
    tally.equal("json, headers", (headers["content-length"], headers["x-latin"]), ("13", "caf\ufffd"))
    attempt = seen["attempts"][0]
    tally.equal("json, attempt", [attempt[key] for key in ("endpoint", "code", "status", "pick", "retry", "stop",
                                                           "reused", "protocol", "errno")],
                [at, "OK", 200, "only", "none", "none", False, "HTTP/1.1", 0])
    tally.check(attempt["connect_us"] > 0 and attempt["wait_us"] > 0, f"json, timings: {attempt}")
    for body in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x00\xe2\x82", b"\xff\xfe\xfd"):
        seen = call("web", "POST", "/bytes", "-d", "@-", "--json", feed=body).json()
        tally.equal("json, bytes", (base64.b64decode(seen.get("body_base64", "")), "body" in seen), (body, False))
    for body in (b"", b"a\x00b", "\u20ac\U0001f600\ud7ff".encode()):
        seen = call("web", "POST", "/bytes", "-d", "@-", "--json", feed=body).json()
        tally.equal("json, text", (seen.get("body"), "body_base64" in seen), (body.decode(), False))
    done = call("dead", "GET", "/", "--json")
    seen = done.json()
    tally.equal("json of a failure", (done.code, seen["status"], seen["code"], seen["category"], seen["body"]),
                (3, 0, "CONNECT_REFUSED", "connect", ""))
    tally.equal("json, errno", {attempt["errno"] for attempt in seen["attempts"]}, {111})
    tally.check(closed in seen["message"] and seen["message"] in done.err, f"json of a failure: {seen['message']}")


def test_verbose():
    plain = call("web", "GET", "/pid-of-nothing").out
    done = call("web", "GET", "/pid-of-nothing", "-v")
    tally.equal("-v leaves the body alone", json.loads(done.out)["path"], json.loads(plain)["path"])
    tally.holds("-v", done.err, "service web: 1 endpoint seen", f"{at}: weight 1, breaker closed", "attempt 1, at",
                f"picked {at} (only: there was no other)", "new connection", "timings: connect", "wait",
                "outcome: status 200", "retry budget: 100 left", "result: OK, status 200", "trace ")
    tally.check(all(line.startswith("* ") for line in done.err.splitlines()), f"-v: {done.err}")
    done = call("dead", "GET", "/", "-v")
    tally.equal("-v of a failure", done.code, 3)
    tally.holds("-v of a failure", done.err, "breaker shut, failures in a row", "next probe in",
                "outcome: CONNECT_REFUSED", "(Connection refused)", "retried: unsent", "not retried: attempts",
                "mesh call: dead: CONNECT_REFUSED")
    done = call("again", "GET", "/503", "-v")
    tally.holds("-v of a retry", done.err, "retried: status, retry.on names this status", "attempt 3", "backoff of",
                "reused connection")
    first = [call("both", "GET", "/", "-v").err for _ in range(8)]
    tally.check(all("2 endpoints seen" in text and "round-robin: it was its turn" in text for text in first),
                f"-v of two endpoints: {first[0]}")
    done = call("named", "GET", "/", "-v")
    tally.holds("-v without endpoints", done.err, "0 endpoints seen, discovery NO_SUCH_NAME")


def test_bench():
    for connections, requests in ((1, 50), (1, 1), (7, 300), (64, 64), (80, 300), (64, 3)):
        done = bench("web", "GET", "/", "--connections", connections, "--requests", requests, "--json")
        seen = done.json()
        tally.equal(f"bench {connections}", (done.code, done.err), (0, ""))
        tally.equal(f"bench {connections}", [seen[key] for key in ("connections", "requests", "responses", "errors",
                                                                   "statuses", "errors_by_kind", "interrupted")],
                    [connections, requests, requests, 0, {"200": requests}, {}, False])
        tally.check(0 < seen["p50_us"] <= seen["p90_us"] <= seen["p99_us"] <= seen["max_us"], f"bench: {seen}")
        tally.check(abs(seen["rps"] * seen["duration_us"] / 1e6 - requests) <= requests / 100 and seen["cpu_us"] > 0,
                    f"bench: {seen}")
        tally.check(seen["connects"] <= min(connections, requests), f"bench {connections}: {seen}")
    done = bench("web", "GET", "/", "--connections", 3, "--requests", 40)
    tally.equal("bench in words", (done.code, done.err), (0, ""))
    tally.holds("bench in words", done.out.decode(), "requests    40 in ", "rate  ", "p50 ", "p90 ", "p99 ", "CPU  ",
                "200: 40", "errors      0\n", "attempts    40, 0 retries")
    done = bench("web", "POST", "/", "--connections", 2, "--requests", 20, "-d", "x", "-H", "x-a: b", "--json")
    tally.equal("bench with a body", done.json()["statuses"], {"200": 20})


def test_bench_fails():
    for connections in (1, 5):
        done = bench("dead", "GET", "/", "--connections", connections, "--requests", 30, "--json")
        seen = done.json()
        tally.equal("bench of a closed port", [done.code, seen["requests"], seen["responses"], seen["errors"],
                                               seen["errors_by_kind"], seen["p50_us"], seen["rps"]],
                    [3, 30, 0, 30, {"CONNECT_REFUSED": 30}, None, 0])
        tally.holds("bench of a closed port", done.err, "30 of 30 calls", "CONNECT_REFUSED", "check that")
        done = bench("web", "GET", "/503", "--connections", connections, "--requests", 30, "--json")
        tally.equal("bench of 503", (done.code, done.json()["statuses"], done.json()["errors"]), (0, {"503": 30}, 0))
        done = bench("web", "GET", "/503", "--connections", connections, "--requests", 30, "--json", "--fail")
        tally.equal("bench of 503 with --fail", (done.code, done.json()["statuses"]), (4, {"503": 30}))
    done = bench("silent", "GET", "/", "--connections", 3, "--requests", 6, "--timeout", "40ms", "--json")
    tally.equal("bench of silence", (done.code, done.json()["errors_by_kind"]), (3, {"DEADLINE": 6}))
    done = bench("dead", "GET", "/", "--requests", 5)
    tally.holds("bench of a closed port, in words", done.out.decode(), "latency     none", "statuses    none",
                "errors      5: CONNECT_REFUSED 5")


def test_bench_ends():
    for connections in (1, 4):
        seen = bench("web", "GET", "/", "--connections", connections, "--duration", "600ms", "--json").json()
        tally.check(seen["requests"] > connections and seen["duration_us"] >= 600000 and seen["errors"] == 0,
                    f"--duration: {seen}")
        seen = bench("web", "GET", "/", "--connections", connections, "--duration", "1h", "--requests", 9,
                     "--json").json()
        tally.equal("--duration with --requests", seen["requests"], 9)
    arrived = threading.Event()
    server.RequestHandlerClass.log_request = lambda *_: arrived.set()
    running = peers.Bench(CONFIG, "web", 4)
    tally.check(arrived.wait(peers.LONG), "bench did not begin")
    seen = running.end()
    tally.equal("interrupted", (running.code, seen["interrupted"], seen["errors"]), (130, True, 0))
    tally.check(seen["responses"] == seen["requests"] > 0, f"interrupted: {seen}")


def test_progress():
    ours, its = pty.openpty()
    process = subprocess.Popen([TOOL, "bench", "-c", str(CONFIG), "web", "GET", "/", "--requests", "1000000000",
                                "--json"], stdout=subprocess.PIPE, stderr=its)
    os.close(its)
    seen = b""
    while b"calls" not in seen:
        seen += os.read(ours, 1024)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=peers.LONG)
    tally.equal("progress", process.returncode, 130)
    tally.check(b"\r" in seen and b"errors" in seen, f"progress on a terminal: {seen!r}")
    tally.equal("progress leaves the report alone", json.loads(out)["interrupted"], True)
    os.close(ours)


test_help()
test_usage()
test_check()
test_call()
test_call_fails()
test_call_retries()
test_call_json()
test_verbose()
test_bench()
test_bench_fails()
test_bench_ends()
test_progress()
tally.finish()

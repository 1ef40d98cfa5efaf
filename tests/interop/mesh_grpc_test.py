#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# mesh_grpc_test.py - `mesh call --grpc` and `mesh bench --grpc` against grpc-go.
import json
import re
import subprocess

import mesh_peers as peers
from mesh_peers import BUILD, mesh

tally = peers.Tally()
server = subprocess.Popen([BUILD / "tests/interop/grpc_go"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
peers.RUNNING.append(server)
CONFIG = peers.config("mesh.json", {"test": {"endpoints": [server.stdout.readline().strip()], "protocol": "http2"}})
METHOD = "/grpc.testing.TestService/"
SAY = b"\x10\x05"  # response_size: 5
SAID = b"\x0a\x07\x12\x05" + bytes(5)  # payload { body: 5 bytes }
FAIL = b"\x3a\x07\x08\x05\x12\x03no!"  # response_status { code: 5, message: "no!" }


def call(method, body=b"", *words):
    return mesh("call", "-c", CONFIG, "--grpc", "test", METHOD + method, "-d", "@-", *words, feed=body)


done = call("UnaryCall", SAY)
tally.equal("a message", (done.code, done.out, done.err), (0, SAID, ""))
done = call("EmptyCall")
tally.equal("an empty message", (done.code, done.out, done.err), (0, b"", ""))

done = call("UnaryCall", FAIL)
tally.equal("an error", (done.code, done.out), (4, b""))
tally.check(re.fullmatch(r"mesh call: test: grpc-status 5 NOT_FOUND: no!; tried \S+ answered 200 NOT_FOUND after [\d.]+ ms"
                         r"; -v tells where it came from\n", done.err), done.err)
done = call("UnaryCall", FAIL, "-v")
tally.equal("an error told", done.code, 4)
tally.holds("an error told", done.err, "outcome: status 200, grpc-status 5 NOT_FOUND",
            "result: OK, status 200, grpc-status 5 NOT_FOUND, 0 bytes")

done = call("UnaryCall", FAIL, "--json")
told = json.loads(done.out)
tally.equal("an error in JSON", (done.code, told["code"], told["grpc_status"], told["grpc_status_name"],
                                 told["grpc_message"], told["attempts"][0]["grpc_status"]),
            (4, "OK", 5, "NOT_FOUND", "no!", 5))
tally.check({"name": "grpc-status", "value": "5"} in told["trailers"], f"{told['trailers']}")
done = call("UnaryCall", SAY, "--json")
told = json.loads(done.out)
tally.equal("a message in JSON", (done.code, told["grpc_status"], told["grpc_message"], told["body"]),
            (0, 0, "", SAID.decode()))

done = mesh("call", "-c", CONFIG, "test", "GET", "/", "--json")
told = json.loads(done.out)
tally.check("grpc_status" not in told and "grpc_status" not in told["attempts"][0], "a call that is no gRPC")

done = mesh("call", "-c", CONFIG, "--grpc", "test", "POST", METHOD + "EmptyCall")
tally.equal("a method", done.code, 2)
tally.holds("a method", done.err, "a service and a path were expected, 3 words", "--grpc SERVICE /package.Service/Method")

done = mesh("call", "-c", peers.config("plain.json", {"test": [peers.echo_server()[1]]}), "--grpc", "test", "/a/b")
tally.equal("HTTP/1.1", done.code, 2)
tally.holds("HTTP/1.1", done.err, "grpc-status 13 INTERNAL", "EUNSUPPORTED", '"protocol": "http2"')

done = mesh("bench", "-c", CONFIG, "--grpc", "test", METHOD + "EmptyCall", "-n", 8, "-r", 500, "--json", "--fail")
told = json.loads(done.out)
tally.equal("bench", (done.code, told["responses"], told["statuses"]), (0, 500, {"0": 500}))
done = mesh("bench", "-c", CONFIG, "--grpc", "test", METHOD + "Nothing", "-r", 10, "--json", "--fail")
told = json.loads(done.out)
tally.equal("bench of errors", (done.code, told["statuses"]), (4, {"12": 10}))
tally.holds("bench of errors", done.err, "10 responses have another status than OK")

tally.finish()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# schema_test.py - the JSON Schema accepts the documents that the loader accepts, and refuses what it can of the others.
import json
import os
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(0)

ROOT = pathlib.Path(os.environ.get("MESH_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
SAMPLES = ROOT / "tests/unit/config/samples"
SERVICE = {"endpoints": ["127.0.0.1:1"]}

# Members of a service that the schema refuses.
REFUSED = ({"timeout": 15}, {"timeout": "15"}, {"timeout": "1m30s"}, {"tiemout": "1s"}, {"max_body": "8M"},
           {"max_headers": 0}, {"max_headers": "100"}, {"balancer": "weighted"}, {"protocol": "http3"},
           {"tls": {"mode": "permissive"}}, {"tls": {"peers": []}}, {"tls": {"peers": ["shop/order"]}},
           {"authorize": {"rules": []}}, {"authorize": {"rules": [{}]}},
           {"authorize": {"rules": [{"action": "allow", "paths": ["/"]}]}},
           {"discover": {"dns": "a:1"}}, {"endpoints": []}, {"endpoints": ["localhost:80"]},
           {"endpoints": [{"weight": 1}]}, {"retry": {"attempts": 11}}, {"retry": {"on": ["399"]}},
           {"retry": {"budget": {"ratio": -1}}}, {"circuit_breaker": {"enabled": "yes"}},
           {"limits": {"max_retries": "none"}}, {"headers": {"x": 1}})
ACCEPTED = ({"timeout": "0.5s"}, {"max_connection_age": "none"}, {"max_body": "1.5MB"}, {"retry": {"on": ["5xx", "429"]}},
            {"limits": {"max_retries": "unlimited"}}, {"limits": {"max_retries": 3}},
            {"tls": {}}, {"tls": {"peers": ["spiffe://shop/ns/*"], "alpn": []}},
            {"authorize": {"rules": [{"action": "deny", "unless": {"ports": [80]}}]}},
            {"endpoints": ["unix:/x", "[fe80::1%2]:80", {"address": "1.2.3.4:5", "weight": 2}]})

schema = json.loads((ROOT / "docs/mesh.schema.json").read_text())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
failures = checks = 0


def expect(what, document, valid):
    global failures, checks
    checks += 1
    errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(document)]
    if valid != (not errors):
        failures += 1
        print(f"{what}: " + ("; ".join(errors) if errors else "is accepted"))


samples = sorted(SAMPLES.glob("*.json")) + sorted((ROOT / "examples").glob("**/mesh*.json"))
for path in samples:
    expect(path.relative_to(ROOT), json.loads(path.read_text()), not path.name.startswith("refused-"))
for member in REFUSED:
    expect(member, {"services": {"s": {**SERVICE, **member}}}, False)
for member in ACCEPTED:
    expect(member, {"services": {"s": {**SERVICE, **member}}}, True)
expect("neither", {"services": {"s": {}}}, False)
expect("a bad name", {"services": {"a b": SERVICE}}, False)
expect("endpoints as a default", {"defaults": SERVICE}, False)
expect("discover.timeout as a default", {"defaults": {"discover": {"timeout": "1s"}}}, True)
expect("no listen", {"servers": {"s": {}}}, False)
expect("an identity without trust", {"identity": {"certificate": "a", "key": "b"}}, False)
expect("a certificate without a key", {"identity": {"certificate": "a", "trust": {"a": "b"}}}, False)
expect("an identity", {"identity": {"trust": {"a": "b"}}, "tls": {"handshake_threads": 16}}, True)
expect("a server without rules", {"servers": {"s": {"listen": "127.0.0.1:1", "authorize": {}}}}, False)
expect("nothing", {}, True)
print(f"{checks} documents, {failures} failures")
sys.exit(1 if failures or not samples else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# mesh_certs_test.py - `mesh certs`: its files, as OpenSSL sees them; authorities kept and replaced; what is refused.
import calendar
import json
import os
import re
import ssl
import subprocess
import threading
import time

import mesh_peers as peers
from mesh_peers import FOLDER, mesh

tally = peers.Tally()


def certs(folder, *words, domain="shop", **more):
    return mesh("certs", "--trust-domain", domain, "--out", FOLDER / folder, *words, **more)


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=peers.LONG, check=False)


def verify(bundle, *certificates):
    return openssl("verify", "-x509_strict", "-CAfile", bundle, *certificates).returncode == 0


def text(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-text").stdout


def has_key(certificate, key):
    """Whether the key is the certificate's."""
    ours = openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout
    return "BEGIN PUBLIC KEY" in ours and ours == openssl("pkey", "-in", key, "-pubout").stdout


def tree(folder):
    """The modes of all files by name."""
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")
            if not path.is_dir()}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def test_files():
    done = certs("new/deep", "order", "ns/prod/sa/payment")
    folder = FOLDER / "new/deep"
    tally.equal("certs", (done.code, done.err), (0, ""))
    tally.equal("files", tree(folder), {
        "ca.pem": 0o644, "ca.key": 0o600, "bundle.pem": 0o644, "order.pem": 0o644, "order.key": 0o600,
        "ns/prod/sa/payment.pem": 0o644, "ns/prod/sa/payment.key": 0o600})
    for name, identity in (("order", "order"), ("ns/prod/sa/payment", "ns/prod/sa/payment")):
        certificate = folder / f"{name}.pem"
        tally.check(verify(folder / "bundle.pem", certificate), f"{name} is not verified")
        tally.check(has_key(certificate, folder / f"{name}.key"), f"{name}: the key is not the certificate's")
        seen = text(certificate)
        tally.check(re.search(rf"Alternative Name: *\n *URI:spiffe://shop/{identity}\n", seen), seen)
        tally.holds(name, seen, "CA:FALSE", "Digital Signature\n", "TLS Web Server Authentication, TLS Web Client")
    tally.check(has_key(folder / "ca.pem", folder / "ca.key"), "the authority's key is not its certificate's")
    tally.holds("ca.pem", text(folder / "ca.pem"), "CA:TRUE", "Certificate Sign, CRL Sign", "URI:spiffe://shop\n")
    tally.equal("bundle", (folder / "bundle.pem").read_bytes(), (folder / "ca.pem").read_bytes())
    tally.holds("words", done.out.decode(), "spiffe://shop/order, until 2", "authority of spiffe://shop, new")


def test_configuration():
    """What is printed can be pasted."""
    done = certs("pasted", "order", "payment")
    lines = [line.strip() for line in done.out.decode().splitlines() if line.startswith("  ")]
    parts = [json.loads("{" + line + "}") for line in lines]
    folder = (FOLDER / "pasted").resolve()
    tally.equal("configuration", parts, [
        {"identity": {"certificate": f"{folder}/order.pem", "key": f"{folder}/order.key",
                      "trust": {"shop": f"{folder}/bundle.pem"}}},
        {"tls": {"mode": "mutual", "peers": ["spiffe://shop/payment"]}}, {"tls": {"mode": "mutual"}}])


def test_json():
    done = certs("json", "--json", "--days", "3", "a", "b/c")
    seen = done.json()
    folder = FOLDER / "json"
    tally.equal("json", (done.code, done.err, seen["trust_domain"], seen["bundle"]),
                (0, "", "shop", f"{folder}/bundle.pem"))
    tally.equal("json, authority", [seen["authority"][key] for key in ("certificate", "key", "made")],
                [f"{folder}/ca.pem", f"{folder}/ca.key", True])
    tally.equal("json, services", [[service[key] for key in ("service", "id", "certificate", "key")]
                                   for service in seen["services"]],
                [[name, f"spiffe://shop/{name}", f"{folder}/{name}.pem", f"{folder}/{name}.key"]
                 for name in ("a", "b/c")])
    ends = openssl("x509", "-in", folder / "a.pem", "-noout", "-enddate").stdout.strip().split("=")[1]
    said = time.strptime(seen["services"][0]["not_after"], "%Y-%m-%dT%H:%M:%SZ")
    tally.equal("json, not_after", calendar.timegm(said), ssl.cert_time_to_seconds(ends))
    tally.check(certs("json", "--json", "a").json()["authority"]["made"] is False, "the authority was made again")


def test_days():
    """--days is from now, and never beyond the authority."""
    folder = FOLDER / "days"
    certs("days", "--days", "2", "a")
    for seconds, lives in ((2 * 86400 - 300, True), (2 * 86400 + 300, False)):
        done = openssl("x509", "-in", folder / "a.pem", "-noout", "-checkend", seconds)
        tally.equal(f"a after {seconds} s", done.returncode == 0, lives)
    certs("days", "--days", "36500", "a")
    ends = [openssl("x509", "-in", folder / name, "-noout", "-enddate").stdout for name in ("a.pem", "ca.pem")]
    tally.equal("the end of a and of the authority", ends[0], ends[1])
    certs("long", "--days", "36500", "a")
    done = openssl("x509", "-in", FOLDER / "long/a.pem", "-noout", "-checkend", 36499 * 86400)
    tally.equal("a hundred years", done.returncode, 0)


def test_names():
    certs("names", "--dns", "a.test", "--dns", "127.0.0.1", "--dns", "*.b.test", "--dns", "::1", "a")
    tally.holds("names", text(FOLDER / "names/a.pem"), "URI:spiffe://shop/a, DNS:a.test, DNS:*.b.test, "
                "IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n")


def test_rotation():
    folder = FOLDER / "turn"
    certs("turn", "a", "b")
    first = contents(folder)
    done = certs("turn", "a")
    second = contents(folder)
    tally.equal("certificates made again", (done.code, {name for name in first if first[name] != second[name]}),
                (0, {"a.pem", "a.key"}))
    tally.check(verify(folder / "bundle.pem", folder / "a.pem", folder / "b.pem"), "not verified after a rotation")
    done = certs("turn", "--new-authority", "a")
    third = contents(folder)
    tally.equal("a new authority", (done.code, {name for name in second if second[name] != third[name]}),
                (0, {"a.pem", "a.key", "ca.pem", "ca.key", "bundle.pem"}))
    tally.equal("both are trusted", third["bundle.pem"], third["ca.pem"] + second["ca.pem"])
    waited = (folder / "a.key").stat().st_mtime_ns - (folder / "bundle.pem").stat().st_mtime_ns
    tally.check(waited >= 990_000_000, f"running programs had {waited} ns to read whom to trust")
    tally.check(verify(folder / "bundle.pem", folder / "a.pem", folder / "b.pem"), "the former is not trusted")
    tally.check(not verify(folder / "ca.pem", folder / "b.pem"), "b is of the new authority")
    certs("turn", "b")
    tally.equal("the former is dropped", (folder / "bundle.pem").read_bytes(), third["ca.pem"])
    tally.check(verify(folder / "bundle.pem", folder / "a.pem", folder / "b.pem"), "not verified after both")
    tally.check(not any(name.rsplit("/", 1)[-1].startswith(".") for name in tree(folder)), f"drafts: {tree(folder)}")


def test_watched():
    """Whoever reads while certificates are made finds whole files; a key is there before its certificate."""
    folder = FOLDER / "watched"
    certs("watched", "a")
    stop, seen = threading.Event(), {"pairs": 0, "bad": []}

    def watch():
        while not stop.is_set():
            before = (folder / "a.pem").read_text()
            key = (folder / "a.key").read_text()
            for kind, body in (("CERTIFICATE", before), ("EC PRIVATE KEY", key)):
                if not re.fullmatch(rf"-----BEGIN {kind}-----\n[\w+/=\n]+-----END {kind}-----\n", body):
                    seen["bad"].append(body)
            seen["pairs"] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        certs("watched", "a")
    stop.set()
    watcher.join()
    tally.check(seen["pairs"] > 0 and not seen["bad"], f"half files among {seen['pairs']}: {seen['bad'][:1]}")
    key, certificate = (folder / name for name in ("a.key", "a.pem"))
    tally.check(key.stat().st_mtime_ns <= certificate.stat().st_mtime_ns, "the certificate was written before its key")


REFUSED = (
    ([], "no trust domain"), (["-t", "shop"], "no place"), (["-t", "shop", "-o", ""], "no place"),
    (["-t", "shop", "-o", "x"], "no service"), (["-t", "Shop", "-o", "x", "a"], "small letters"),
    (["-t", "", "-o", "x", "a"], "small letters"), (["-t", "a/b", "-o", "x", "a"], "small letters"),
    (["-t", "a" * 256, "-o", "x", "a"], "small letters"), (["-t", "shop", "-o", "x", "a b"], "is no service"),
    (["-t", "shop", "-o", "x", ""], "is no service"), (["-t", "shop", "-o", "x", "/a"], "is no service"),
    (["-t", "shop", "-o", "x", "a/"], "is no service"), (["-t", "shop", "-o", "x", "a//b"], "is no service"),
    (["-t", "shop", "-o", "x", "a/../b"], "is no service"), (["-t", "shop", "-o", "x", "."], "is no service"),
    (["-t", "shop", "-o", "x", "a" * 2048], "is no service"), (["-t", "shop", "-o", "x", "ca"], "ca/main"),
    (["-t", "shop", "-o", "x", "bundle"], "bundle/main"), (["-t", "shop", "-o", "x", "a", "b", "a"], "twice"),
    (["-t", "shop", "-o", "x", "a", "--dns", "a b"], "DNS name"),
    (["-t", "shop", "-o", "x", "a", "--dns", ""], "DNS name"),
    (["-t", "shop", "-o", "x", "a", "--days", "0"], "from 1 to 36500"),
    (["-t", "shop", "-o", "x", "a", "--days", "36501"], "from 1 to 36500"),
    (["-t", "shop", "-o", "x", "a", "--new-autority"], "did you mean --new-authority"),
    (["-t", "shop", "-o", "x", "a", "--timeout", "1s"], "there is no option --timeout"),
)


def refused(what, done, code, *words):
    tally.equal(what, (done.code, done.out), (code, b""))
    tally.holds(what, done.err, *words)
    tally.check(re.fullmatch(r"mesh certs: [^\n]+\n", done.err), f"{what}: {done.err!r}")


def test_refused():
    for words, complaint in REFUSED:
        refused(f"{words}"[:80], mesh("certs", *words, cwd=FOLDER), 2, complaint)
    tally.check(not (FOLDER / "x").exists(), "something was written in spite of a complaint")


def test_bad_authority():
    folder = FOLDER / "bad"
    certs("bad", "a")
    certs("other", "a")
    before = contents(folder)
    refused("another trust domain", certs("bad", "a", domain="shops"), 1, "another trust domain", "--new-authority")
    for name, body, complaint in (("ca.key", (FOLDER / "other/ca.key").read_bytes(), "does not belong"),
                                  ("ca.key", b"", "key cannot be parsed"), ("ca.pem", b"x", "cannot be parsed"),
                                  ("ca.key", None, "but no"), ("ca.pem", None, "but no")):
        (folder / name).unlink()
        if body is not None:
            (folder / name).write_bytes(body)
        refused(f"{name}: {body!r:.20}", certs("bad", "a"), 1, complaint, "--new-authority", str(folder))
        now = contents(folder)
        tally.equal(f"{name}: nothing else changed", {key for key in before if now.get(key) != before[key]}, {name})
        (folder / name).write_bytes(before[name])
    (folder / "ca.pem").write_bytes((folder / "a.pem").read_bytes())
    (folder / "ca.key").write_bytes((folder / "a.key").read_bytes())
    refused("a leaf for an authority", certs("bad", "b"), 1, "may not sign certificates")
    done = certs("bad", "--new-authority", "a")
    tally.equal("a new authority instead", done.code, 0)
    tally.equal("what was no authority is not trusted", (folder / "bundle.pem").read_bytes(),
                (folder / "ca.pem").read_bytes())


def test_expired_authority():
    folder = FOLDER / "expired"
    certs("expired", "a")
    for times in (["-days", "-1"], ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]):
        done = openssl("x509", "-in", folder / "ca.pem", "-signkey", folder / "ca.key", *times, "-out",
                       folder / "old.pem")
        if done.returncode == 0:  # OpenSSL 3.0 takes the first words, 3.5 the second
            break
    tally.equal("openssl x509", done.returncode, 0)
    (folder / "old.pem").rename(folder / "ca.pem")
    refused("an expired authority", certs("expired", "a"), 1, "has expired", "--new-authority")


def test_foreign_authority():
    """An authority that OpenSSL made, with names and a key of its own kind, signs too."""
    folder = FOLDER / "foreign"
    folder.mkdir()
    for kind in (["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]):
        done = openssl("req", "-x509", "-newkey", *kind, "-nodes", "-keyout", folder / "ca.key", "-out",
                       folder / "ca.pem", "-subj", "/C=DE/O=Shop \u00e4, Inc. + Sons/CN=Root", "-utf8", "-days", "9",
                       "-addext", "keyUsage=critical,keyCertSign")
        tally.equal("openssl req", done.returncode, 0)
        done = certs("foreign", "a")
        tally.equal(f"an authority of {kind[0]}", (done.code, done.err), (0, ""))
        tally.check(verify(folder / "bundle.pem", folder / "a.pem"), f"{kind[0]}: not verified")


def test_cannot_write():
    (FOLDER / "file").write_text("")
    refused("a file for a folder", certs("file", "a"), 5, "cannot be written")
    (FOLDER / "half/a.key").mkdir(parents=True)
    done = certs("half", "a")
    tally.equal("a folder for a file", done.code, 5)
    tally.holds("a folder for a file", done.err, "half/a.key cannot be written")
    tally.equal("no draft is left", [name for name in os.listdir(FOLDER / "half") if name.startswith(".")], [])
    with open("/dev/full", "wb") as full:
        tally.equal("a full disk", certs("full", "a", stdout=full).code, 5)


def test_help():
    done = mesh("certs", "--help")
    tally.equal("--help", (done.code, done.err), (0, ""))
    tally.holds("--help", done.out.decode(), "usage: mesh certs", "--trust-domain", "--out", "--days", "--dns",
                "--new-authority", "--json", "bundle.pem")
    tally.check("--timeout" not in done.out.decode(), "certs has --timeout")
    tally.check("certs" in mesh("--help").out.decode(), "mesh --help does not know certs")


test_files()
test_configuration()
test_json()
test_days()
test_names()
test_rotation()
test_watched()
test_refused()
test_bad_authority()
test_expired_authority()
test_foreign_authority()
test_cannot_write()
test_help()
tally.finish()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# needed_test.py - what the shared library and the tool load: small libraries only, and the tool nothing but Meshcall
# and what it writes certificates with.
import re

import structure

LIBRARY = re.compile(r"(libc|libpthread|libcares|libcjson|libllhttp|libnghttp2|libmbed(tls|x509|crypto)|"
                     r"ld-linux-[\w-]+)\.so\.\d+(\.\d+)*$")
PROGRAM = re.compile(r"(libc|libpthread|libmeshcall|ld-linux-[\w-]+)\.so\.\d+$")
ISSUER = re.compile(PROGRAM.pattern + r"|(libmbedx509|libmbedcrypto)\.so\.\d+$")


def dynamic(text):
    """(SONAME, NEEDED) of `readelf -d`."""
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", text)
    return soname[0] if soname else None, re.findall(r"\(NEEDED\).*\[(.*)\]", text)


def strangers(needed, pattern):
    return sorted(name for name in needed if not pattern.match(name))


tally = structure.Tally()
shared = structure.BUILD / "libmeshcall.so"
if tally.check(shared.exists(), "libmeshcall.so was not linked"):
    soname, needed = dynamic(structure.output("readelf", "-dW", shared))
    tally.check(soname == "libmeshcall.so.0", f"the shared library is called {soname}")
    tally.check(not strangers(needed, LIBRARY), f"the shared library loads {strangers(needed, LIBRARY)}")
    tally.check("libc.so.6" in needed, f"the shared library loads no libc: {needed}")
for program in sorted((structure.BUILD / "bin").glob("*")):
    _, needed = dynamic(structure.output("readelf", "-dW", program))
    tally.check("libmeshcall.so.0" in needed and not strangers(needed, ISSUER if program.name == "mesh" else PROGRAM),
                f"{program.name} loads {needed}")

soname, needed = dynamic(" 0x1 (NEEDED) Shared library: [libcurl.so.4]\n 0x2 (SONAME) Library soname: [libx.so.0]\n")
tally.check(soname == "libx.so.0" and strangers(needed, LIBRARY) == ["libcurl.so.4"], "dynamic() misreads readelf")
tally.check(strangers(["libssl.so.3", "libnghttp2.so.14", "libm.so.6"], LIBRARY) != [], "strangers() sees none")
tally.finish()

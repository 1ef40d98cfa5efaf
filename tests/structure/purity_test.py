#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# purity_test.py - policy, balance and call decide and do nothing else: no system call, no lock, no memory of their own.
#
# Read from the objects: what they need from elsewhere is in pure-symbols.txt, and they have no writable data. Read from
# the sources: no atomics and no assembler, which need no symbol.
import re

import structure

FOLDERS = ("policy", "balance", "call")
FORBIDDEN = re.compile(r"\b(stdatomic\.h|_Atomic|atomic_\w+|__sync_\w+|__atomic_\w+|asm|__asm|__asm__|\w*rdtscp?|"
                       r"volatile|_Thread_local|__thread|pthread_\w+)\b")
WRITABLE = re.compile(r"^\.(data|bss|tdata|tbss)(\.(?!rel\.ro\b).*)?$")


def sources(_path, text):
    return [f"line {line}: {match.group(1)}" for line, content in enumerate(structure.code(text, True).split("\n"), 1)
            if (match := FORBIDDEN.search(content))]


def symbols(nm):
    """(undefined, defined, common) names of an object."""
    undefined, defined, common = set(), set(), set()
    for line in nm.splitlines():
        kind, name = line.split()[-2:]
        if kind in "Uvw":
            undefined.add(name)
        elif kind in "Cc":
            common.add(name)
        elif kind.isupper():
            defined.add(name)
    return undefined, defined, common


def writable(size):
    """Sections that can be written while the program runs, of `size -A`; constants with addresses are not among them."""
    rows = (line.split() for line in size.splitlines())
    return [row[0] for row in rows if len(row) == 3 and WRITABLE.match(row[0]) and row[1] != "0"]


tally = structure.Tally()
tally.rule("no atomics, no assembler", sources,
           structure.files(".c", ".h", under=[f"lib/{folder}" for folder in FOLDERS]),
           bad=[("x.c", "#include <stdatomic.h>"), ("x.c", "__sync_synchronize();"), ("x.c", '__asm__("nop");'),
                ("x.c", "x = __rdtsc();"), ("x.c", "atomic_int n;"), ("x.c", "static _Thread_local int n;")],
           good=[("x.c", "/* no asm, no volatile */ int assemble;")])

allowed = {line.split()[0] for line in structure.read("tests/structure/pure-symbols.txt").splitlines()
           if line.strip() and not line.startswith("#")}
found = {}
for path, file in structure.objects(*FOLDERS).items():
    if tally.check(file.is_file(), f"{path} was not compiled"):
        found[path] = symbols(structure.output("nm", file)), structure.output("size", "-A", file)
own = set().union(*(names[1] for names, _ in found.values())) if found else set()
needed = set()
for path, ((undefined, _, common), size) in found.items():
    needed |= undefined
    strangers = sorted(undefined - own - allowed)
    data = sorted(writable(size) + list(common))
    tally.check(not strangers, f"{path}: needs {', '.join(strangers)}")
    tally.check(not data, f"{path}: writable data: {', '.join(data)}")
tally.check(not allowed & own, f"pure-symbols.txt lists our own: {', '.join(sorted(allowed & own))}")
tally.check(symbols("                 U malloc\n0000 T f\n0000 t g\n0004 C n\n") == ({"malloc"}, {"f"}, {"n"}),
            "symbols() misreads nm")
tally.check(writable(".text 9 0\n.data 4 0\n.bss 0 0\n.bss.x 8 0\n.data.rel.ro 8 0\n.data.rel.ro.local 8 0\n.tbss 4 0\n")
            == [".data", ".bss.x", ".tbss"], "writable() misreads size")
tally.finish()

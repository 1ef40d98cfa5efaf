#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# files_test.py - what holds for every file: two heading lines, bounded size, one place, nothing about one machine.
import os
import re

import structure

SPDX = "SPDX-License-Identifier: Apache-2.0"
FILE_LINES = 600
FUNCTION_LINES = 80
TOP = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "include", "lib", "bindings", "examples", "tests",
       "docs"}
SCRATCH = re.compile(r"build(-.*)?$|\.")
# Written so that this file does not match itself.
MACHINE = re.compile(r"(?<![\w.~}-])/[w]ork(?![\w.-])|(?<![\w.~}-])/[r]oot/|"
                     r"\b(pypi|pythonhosted|npmjs|rubygems|crates|docker)[.](org|com|io)\b|"
                     r"\b(deb|security|snapshot)[.]debian[.]org\b|\b(proxy|sum)[.]golang[.]org\b|"
                     r"\b(ghcr|gcr|quay)[.]io\b|\brepo1?[.]maven[.]")


def heading(path, text):
    lines = text.split("\n")
    if path.endswith((".c", ".h", ".def")):
        name = re.escape(os.path.basename(path))
        ok = lines[0] == f"/* {SPDX} */" and len(lines) > 1 and re.match(rf"/\* (\w+/)?{name} - \S", lines[1])
    else:
        lines = lines[1:] if lines[0].startswith("#!") else lines
        ok = lines[0] == f"# {SPDX}" and len(lines) > 1 and re.match(r"# \S+ - \S", lines[1])
    return [] if ok else ["does not begin with the licence line and `NAME - what it is`"]


def functions(text):
    """(first line, lines) of each function: from a brace alone in the first column to the next one that closes."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number - start + 1
            start = None


def sizes(_path, text):
    complaints = [f"line {start}: a function of {lines} lines" for start, lines in functions(text)
                  if lines > FUNCTION_LINES]
    lines = text.count("\n")
    return complaints + ([f"{lines} lines"] if lines > FILE_LINES else [])


def machine(_path, text):
    return [f"line {structure.line_of(text, match.start())}: {match.group(0)}" for match in MACHINE.finditer(text)]


def text_file(_path, text):
    complaints = ["does not end with one line feed"] if text and not re.search(r"[^\n]\n\Z", text) else []
    return complaints + (["has a carriage return"] if "\r" in text else [])


tally = structure.Tally()
sources = structure.files(".c", ".h", ".def")
scripts = structure.files(".py", ".sh", "CMakeLists.txt") + ["CMakeLists.txt", "tests/run", ".ci/run"]
words = sources + scripts + structure.files(".md", ".json", ".in", ".txt", under=("docs", "lib", "tests", "examples",
                                                                                 "bindings"))
words += [name for name in ("README.md", "CMakePresets.json", ".clang-format", ".gitignore")
          if (structure.ROOT / name).is_file()]

top = {name for name in os.listdir(structure.ROOT) if not SCRATCH.match(name)}
tally.check(top <= TOP, f"does not belong at the top: {sorted(top - TOP)}")
tally.check({"LICENSE", "CMakeLists.txt", "include", "lib", "tests"} <= top, f"not at the top: {sorted(TOP - top)}")
tally.rule("heading", heading, sources + scripts,
           bad=[("lib/x.c", "int x;\n"), ("lib/x.c", f"/* {SPDX} */\nint x;\n"),
                ("lib/x.c", f"/* {SPDX} */\n/* y.c - another */\n"), ("x.py", f"#!/usr/bin/env python3\n# {SPDX}\n")],
           good=[("lib/x.c", f"/* {SPDX} */\n/* x.c - it */\n"), ("mesh/x.h", f"/* {SPDX} */\n/* mesh/x.h - it */\n"),
                 ("x.py", f"#!/usr/bin/env python3\n# {SPDX}\n# x.py - it\n")])
tally.rule("size", sizes, sources,
           bad=[("x.c", "int f(void)\n{\n" + "    f();\n" * FUNCTION_LINES + "}\n"), ("x.c", "\n" * 601)],
           good=[("x.c", "int f(void)\n{\n" + "    f();\n" * (FUNCTION_LINES - 2) + "}\n"), ("x.c", "\n" * 600)])
tally.rule("one machine", machine, words,
           bad=[("x", "cd /" + "work/main\n"), ("x", "pip from pypi" + ".org\n"), ("x", "deb" + ".debian.org")],
           good=[("x", "/workers /etc/hosts a/work/b tests/work\n")])
tally.rule("text", text_file, words, bad=[("x", "a"), ("x", "a\n\n"), ("x", "a\r\n")], good=[("x", "a\n"), ("x", "")])
tally.finish()

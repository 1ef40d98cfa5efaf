# SPDX-License-Identifier: Apache-2.0
# structure.py - what the structure tests share: the files, C without comments, and a tally that ends in one line.
#
# A rule is a function (path, text) -> list of complaints. Each test gives its rule samples that must and must not be
# complained about, so that a rule which finds nothing any more is itself a failure.
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("MESH_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("MESH_BUILD_DIR") or ROOT / "build" / "plain")

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Tally:
    """Counts checks; finish() prints the line that the test runner adds up, and ends the program."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, ok, complaint):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(complaint)
        return ok

    def rule(self, name, rule, paths, bad=(), good=()):
        """One check for the whole tree, and one for each sample, a (path, text) pair."""
        complaints = [f"{path}: {what}" for path in paths for what in rule(path, read(path))]
        for line in complaints:
            print(line)
        self.check(not complaints, f"rule \"{name}\": {len(complaints)} violations")
        for path, text in bad:
            self.check(rule(path, text), f"rule \"{name}\" does not see what is wrong with {path}: {text!r}")
        for path, text in good:
            self.check(not rule(path, text), f"rule \"{name}\" refuses {path}: {text!r}: {rule(path, text)}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def files(*suffixes, under=("include", "lib", "bindings", "examples", "tests")):
    """The project's files, as paths relative to its root."""
    found = []
    for top in under:
        for folder, folders, names in os.walk(ROOT / top):
            folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".cache")
                                and not name.startswith("build"))
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in sorted(names)
                      if name.endswith(suffixes)]
    return found


def read(path):
    with open(ROOT / path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read()


def code(text, keep_strings=False):
    """C without comments, and without what stands between quotes; lines stay where they are."""

    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return " " + "\n" * token.count("\n")
        return token if keep_strings else token[0] * 2

    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(text):
    """(line, name, is_angled) of every #include."""
    return [(number, match.group(2), match.group(1) == "<")
            for number, line in enumerate(code(text, keep_strings=True).split("\n"), 1)
            if (match := re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line))]


def run(*command, **more):
    """The finished process, with its output as text."""
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **more)


def output(*command):
    done = run(*command)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}")
    return done.stdout


def api_functions(text):
    """The names that a public header declares with MESH_API."""
    plain = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", code(text), flags=re.M)
    return re.findall(r"\bMESH_API\b[^;{]*?\b(mesh_\w+)\s*\(", plain)


def objects(*folders):
    """The compiled files of folders of lib/ by their source's path; every source must have been compiled."""
    base = BUILD / "CMakeFiles" / "meshcall_objects.dir"
    sources = [path for folder in folders for path in files(".c", under=(f"lib/{folder}",))]
    return {path: base / (path + ".o") for path in sources}

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# docs_test.py - what README.md and the guide show is true: their programs are built against an installed copy by the
# README's command and run against the server of docs/guide/server.md; every other C block compiles, every configuration
# is accepted, and whatever is linked or named is there.
#
# A C block that begins with #include is a program; one with a function in the first column is the body of a file, any
# other one the body of a function.
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import tempfile

import structure

PAGES = ["README.md"] + structure.files(".md", under=("docs",))
ADDRESS = "127.0.0.1:9001"  # as the pages write it; here it is wherever there was a free port
LONG = 60
# What a block may take from its surroundings.
CONTEXT = """
#include <mesh/mesh.h>
#include <stdio.h>
#include <string.h>
extern mesh_config *config; extern mesh_client *client; extern mesh_error *error; extern mesh_request request;
extern mesh_result *result; extern mesh_exchange *exchange;
extern const mesh_header *headers; extern size_t header_count;
"""
# What a program prints, by a word that only it has.
PROGRAMS = {"README.md": {'"/world"': "200 /world\n"},
            "docs/guide/client.md": {"snprintf(path[i]": "10 of 10\n", "mesh_loop_fd": "200 /\n"}}

tally = structure.Tally()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", structure.read(page), re.M | re.S)


def kind(block):
    if block.startswith("#include"):
        return "program"
    return "file" if re.search(r"^\w[\w *]*\([^;]*\)\n\{$", block, re.M) else "function"


def command():
    """The README's command, which makes `main` of main.c."""
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line.startswith("cc ")]
    return lines[0] if len(lines) == 1 else "false"


def whole(block):
    if kind(block) == "file":
        return CONTEXT + block
    return f"{CONTEXT}int fragment(void);\nint fragment(void)\n{{ {{\n{block}}}\nreturn 0; }}\n"


def compiles(folder, text):
    (folder / "fragment.c").write_text(text)
    words = structure.output("pkg-config", "--cflags", "meshcall").split()
    return structure.run("cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused", "-fsyntax-only",
                         *words, folder / "fragment.c")


def build(folder, block, standard="c11"):
    """The program that the README's command makes of the block, in a folder of its own; None if it does not."""
    folder.mkdir()
    (folder / "main.c").write_text(block)
    done = structure.run("sh", "-c", command().replace("-std=c11", f"-std={standard}"), cwd=folder)
    return folder / "main" if tally.check(done.returncode == 0, f"{folder.name}: {done.stdout}") else None


def put_config(folder, page, address):
    """The page's first configuration, at another address."""
    text = blocks(page, "json")[0]
    tally.check(ADDRESS in text, f"{page}: its first configuration does not name {ADDRESS}")
    (folder / "mesh.json").write_text(text.replace(ADDRESS, address))


class Server:
    """The server of docs/guide/server.md. It writes to a terminal, or its line would wait in a buffer."""

    def __init__(self, scratch):
        program = build(scratch / "server", blocks("docs/guide/server.md", "c")[0], "gnu11")  # for POSIX signals
        if program is None:
            tally.finish()
        put_config(scratch / "server", "docs/guide/server.md", "127.0.0.1:0")
        self.terminal, inner = pty.openpty()
        self.process = subprocess.Popen([program], cwd=scratch / "server", stdout=inner, stderr=inner)
        os.close(inner)
        with os.fdopen(os.dup(self.terminal), encoding="utf-8") as lines:
            said = re.match(r"listening at (127\.0\.0\.1:[1-9]\d*)$", lines.readline())
        tally.check(said, "the server of docs/guide/server.md does not say where it listens")
        self.address = said.group(1) if said else ADDRESS

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LONG)
        os.close(self.terminal)
        tally.check(code == 0, f"the server of docs/guide/server.md ended with {code}")


def run(program):
    done = subprocess.run([program], cwd=program.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=LONG, check=False)
    return done.returncode, done.stdout, done.stderr


def no_times(text):
    return re.sub(r"\d+\.\d{3} ms", "T ms", text)


def check_failure(program):
    """Nobody listens at a port that is bound: the message is the one in the README."""
    shown = [block for block in blocks("README.md", "") if "CONNECT_REFUSED" in block]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        put_config(program.parent, "README.md", address)
        code, out, err = run(program)
    tally.check(code == 1 and out == "", f"README.md, nobody there: exit code {code}, {out!r}")
    tally.check([no_times(err)] == [no_times(block).replace(ADDRESS, address) for block in shown],
                f"README.md shows {shown}, the program says {err!r}")
    (program.parent / "mesh.json").write_text('{"services": {"hello": {"endpoints": ["localhost:1"], "timeot": "1s"}}}')
    code, out, err = run(program)
    tally.check(code == 1 and out == "" and len(err.splitlines()) == 2 and "did you mean \"timeout\"?" in err,
                f"README.md, two mistakes in mesh.json: {code} {out!r} {err!r}")


def check_programs(scratch, address):
    for page, expected in PROGRAMS.items():
        programs = [block for block in blocks(page, "c") if kind(block) == "program"]
        tally.check(len(programs) == len(expected), f"{page}: {len(programs)} programs, expected {len(expected)}")
        for word, output in expected.items():
            found = [block for block in programs if word in block]
            program = build(scratch / f"{page.replace('/', '-')} {len(os.listdir(scratch))}", (found + [""])[0])
            if program is None:
                continue
            put_config(program.parent, page, address)
            got = run(program)
            tally.check(got == (0, output, ""), f"{page}, program with {word}: {got}, expected {output!r}")
            if page == "README.md":
                check_failure(program)


def check_blocks(scratch):
    for page in PAGES:
        for block in blocks(page, "c"):
            if kind(block) != "program":
                done = compiles(scratch, whole(block))
                tally.check(done.returncode == 0, f"{page}: {block}{done.stdout}")
        for block in blocks(page, "json"):
            if not block.startswith("{") or not json.loads(block).keys() & {"services", "servers"}:
                continue
            (scratch / "checked.json").write_text(block)
            done = structure.run(structure.BUILD / "bin" / "mesh", "check", scratch / "checked.json")
            tally.check(done.returncode == 0, f"{page}: {done.stdout}")
    for text in ("int x = ;\n", "mesh_call(client, request);\n", "static int f(void)\n{\n    return nothing;\n}\n"):
        tally.check(compiles(scratch, whole(text)).returncode != 0, f"compiles, which it must not: {text}")


def missing(path, text):
    """Links to files, and files named in the text, that do not exist; a * stands for any name."""
    folder = (structure.ROOT / path).parent
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:", link)]
    names = re.findall(r"`((?:lib|tests|docs|include|bindings|examples)/[\w./*-]+)`", text)
    return [f"{link} does not exist" for link in links if link and not (folder / link).exists()] + \
           [f"{name} does not exist" for name in names if not list(structure.ROOT.glob(name.rstrip("/")))]


def unnamed_folders(path, text):
    """Folders of lib/ that the architecture does not speak of."""
    return [f"lib/{folder} is not in it" for folder in sorted(os.listdir(structure.ROOT / "lib"))
            if (structure.ROOT / "lib" / folder).is_dir() and f"`{folder}`" not in text]


tally.rule("links and names", missing, PAGES,
           bad=[("README.md", "[x](docs/nothing.md)"), ("docs/guide/x.md", "see `lib/nothing/x.c`")],
           good=[("docs/guide/x.md", "[x](../../README.md#a) [y](https://example.com) `lib/net/dns*`")])
tally.rule("folders", unnamed_folders, ["docs/ARCHITECTURE.md"], bad=[("docs/ARCHITECTURE.md", "`base`")])

with tempfile.TemporaryDirectory(prefix="meshcall-") as scratch:
    scratch = pathlib.Path(scratch)
    done = structure.run("cmake", "--install", structure.BUILD, "--prefix", scratch / "installed")
    if not tally.check(done.returncode == 0, f"cmake --install: {done.stdout}"):
        tally.finish()
    libraries = next((scratch / "installed").rglob("meshcall.pc")).parent.parent
    for variable, folder in (("PKG_CONFIG_PATH", libraries / "pkgconfig"), ("LD_LIBRARY_PATH", libraries)):
        os.environ[variable] = ":".join([str(folder)] + [word for word in [os.environ.get(variable)] if word])
    tally.check("-std=c11 -Wall -Wextra -Wpedantic -Werror" in command() and "--libs meshcall" in command(),
                f"README.md: the command is {command()!r}")
    server = Server(scratch)
    try:
        check_programs(scratch, server.address)
    finally:
        server.stop()
    check_blocks(scratch)
tally.finish()

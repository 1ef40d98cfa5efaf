# SPDX-License-Identifier: Apache-2.0
# mesh_peers.py - what the tests of the tool share: running it, and peers that answer it, nginx among them.
#
# Listening sockets are bound here and handed on, so that no port is lost to anybody else and nothing has to be waited
# for: a connection made before the peer is ready waits in the socket's backlog.
import atexit
import http.server
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(os.environ.get("MESH_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("MESH_BUILD_DIR") or ROOT / "build" / "plain")
TOOL = os.environ.get("MESH_TOOL") or str(BUILD / "bin" / "mesh")
LONG = 60  # seconds after which something that was to happen has not

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "structure"))
import structure  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="mesh-tool-"))
FOLDER.chmod(0o755)  # the workers of nginx may be somebody else
RUNNING = []  # processes that are ended with the test, however that ends


@atexit.register
def clean():
    for process in RUNNING:
        if process.poll() is None:
            process.terminate()
            process.wait(LONG)
    shutil.rmtree(FOLDER, ignore_errors=True)


class Tally(structure.Tally):
    def equal(self, what, got, expected):
        return self.check(got == expected, f"{what}: {got!r:.400}, expected {expected!r:.400}")

    def holds(self, what, text, *words):
        for word in words:
            self.check(word in text, f"{what}: no {word!r} in {text!r:.2000}")


class Done:
    """What a run of the tool printed; out is bytes, err is text."""

    def __init__(self, words, feed=b"", **more):
        done = subprocess.run([TOOL, *map(str, words)], input=feed, stderr=subprocess.PIPE, timeout=LONG, check=False,
                              **({"stdout": subprocess.PIPE} | more))
        self.code = done.returncode
        self.out = done.stdout or b""
        self.err = done.stderr.decode()

    def json(self):
        return json.loads(self.out.decode("utf-8"))


def mesh(*words, **more):
    return Done(words, **more)


def config(name, services, **more):
    """The path of a file with these services; a list stands for a service's endpoints."""
    path = FOLDER / name
    path.write_text(json.dumps({"services": {key: {"endpoints": value} if isinstance(value, list) else value
                                             for key, value in services.items()}, **more}))
    return path


def listener(port=0, backlog=512):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(backlog)
    return sock


def address(sock):
    host, port = sock.getsockname()
    return f"{host}:{port}"


def refusing():
    """A socket whose port is nobody else's and refuses connections."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the request as JSON; /bytes with the body alone, /NNN with that status."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = int(self.path[1:]) if self.path[1:].isdigit() else 200
        seen = {"method": self.command, "path": self.path, "headers": list(self.headers.items()),
                "body": body.decode("latin-1")}
        text = body if self.path == "/bytes" else json.dumps(seen).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Latin", "caf\u00e9")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        pass


def echo_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"127.0.0.1:{server.server_address[1]}"


class NoSuchName:
    """A name server that knows no name."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = address(self.sock)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.sock.recvfrom(4096)
            question = query[12:query.index(b"\0", 12) + 5]
            self.sock.sendto(query[:2] + b"\x81\x83" + b"\0\1" + bytes(6) + question, peer)


class Nginx:
    """One nginx of one worker; `places` are the location blocks. It tells of each connection's first request."""

    count = 0

    def __init__(self, places, port=0, settings=""):
        Nginx.count += 1
        self.folder = FOLDER / f"nginx-{Nginx.count}"
        self.folder.mkdir()
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(self.folder / "told"))
        (self.folder / "told").chmod(0o777)
        self.told.settimeout(LONG)
        with listener(port) as sock:
            sock.setblocking(False)  # nginx takes it as it is, and must never wait in accept()
            self.address = address(sock)
            self.port = sock.getsockname()[1]
            (self.folder / "nginx.conf").write_text(self.text(places, settings))
            self.process = subprocess.Popen(
                ["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log"], pass_fds=[sock.fileno()],
                env=dict(os.environ, NGINX=f"{sock.fileno()};"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True)
        RUNNING.append(self.process)

    def text(self, places, settings):
        temporary = "".join(f"{name}_temp_path {name};\n" for name in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    {temporary}
    map $connection_requests $first {{ 1 1; default 0; }}
    log_format told '$pid';
    access_log syslog:server=unix:{self.folder}/told,nohostname told if=$first;
    {settings}
    server {{
        listen {self.address};
        root {self.folder};
        default_type text/plain;
        location = /pid {{ return 200 "$pid"; }}
        {places}
    }}
}}
"""

    def await_first_request(self):
        """Waits for the first request of a connection that nobody has waited for yet; gives the worker's pid."""
        return int(self.told.recv(4096).decode().rsplit(" ", 1)[1])

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        self.process.terminate()
        self.process.wait(LONG)
        self.told.close()

    def kill(self, worker):
        """Ends master and worker without a last word, and waits until both have let go of the port."""
        watched = os.pidfd_open(worker)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LONG)
        select.select([watched], [], [], LONG)
        os.close(watched)
        self.told.close()


class Bench:
    """`mesh bench` that goes on until it is interrupted."""

    def __init__(self, path, service, connections):
        self.process = subprocess.Popen([TOOL, "bench", "-c", str(path), service, "GET", "/", "--connections",
                                         str(connections), "--requests", "1000000000", "--json"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        RUNNING.append(self.process)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=LONG)
        self.err = err.decode()
        self.code = self.process.returncode
        return json.loads(out)

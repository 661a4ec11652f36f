"""A real lsmkv-server for one test: its own directory, its own port, always ended.

    with Server(config="config/presets/classic.conf") as server:
        client = server.client()

A test file ends with `main()`; it understands --server PATH, and LSMKV_SERVER in the environment wins.
Nothing sleeps for a fixed time: every wait is for a condition, with a bound.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import redis

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60
_binary = os.environ.get("LSMKV_SERVER") or str(REPOSITORY / "build" / "lsmkv-server")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Returns what condition() returns once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Server:
    def __init__(self, config=None, directives=(), directory=None, log_directory=None):
        # Two loops on whatever machine: what is between them is to be tested everywhere.
        self._config = [str(REPOSITORY / config)] if config else ["--io-threads", "2"]
        self._directives = list(directives)
        self._own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="lsmkv-test-")
        self.log_directory = log_directory or self.directory      # on a disk that has room
        self._environment = None
        self.port = free_port()
        self.process = None
        self._log = None

    def set_directives(self, directives):
        """For the next start."""
        self._directives = list(directives)

    def environment(self, variables):
        """What the server's processes are started with, beside what this one has."""
        self._environment = {**os.environ, **variables}

    def start(self):
        self._launch()
        try:
            wait_until(self._answers, "the server answers")
        except BaseException:
            self.kill()
            raise
        return self

    def _launch(self):
        self._log = open(os.path.join(self.log_directory, "server.log"), "ab")
        self.process = subprocess.Popen(
            [_binary, *self._config, "--port", str(self.port), "--bind", "127.0.0.1",
             "--dir", os.path.join(self.directory, "data"), *self._directives],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, env=self._environment)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def client(self, **options):
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=WAIT_SECONDS, **options)

    def log_text(self):
        with open(os.path.join(self.log_directory, "server.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """SIGTERM; the server must end by itself with 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=WAIT_SECONDS)
        self._log.close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}:\n{self.log_text()}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._log:
            self._log.close()

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, error_type, error, trace):
        if error_type:
            sys.stderr.write(f"---- the server's log, its end\n{self.log_text()[-4000:]}\n----\n")
        self.kill()
        self.remove()

    def remove(self):
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def main():
    global _binary
    arguments = sys.argv[1:]
    if "--server" in arguments:
        at = arguments.index("--server")
        _binary = os.environ.get("LSMKV_SERVER") or arguments[at + 1]
        del arguments[at:at + 2]
    unittest.main(argv=[sys.argv[0], *arguments])


def binary():
    return _binary


def use_binary(path):
    global _binary
    _binary = path

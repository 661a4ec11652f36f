"""Redis's own server, where one is installed (or LSMKV_REDIS names one): what tests expect of lsmkv is held with it too."""

import os
import shutil
import subprocess
import tempfile

from lsmkv_server import free_port, wait_until
from raw_client import RawClient


def redis_or_skip(test, *directives):
    """To be used in a `with`; skips the test where there is none."""
    binary = os.environ.get("LSMKV_REDIS") or shutil.which("redis-server")
    if binary is None:
        test.skipTest("no redis-server is installed")
    return Redis(binary, *directives)


class Redis:
    """The one that is installed."""

    def __init__(self, binary, *directives):
        self.port = free_port()
        self._directory = tempfile.mkdtemp(prefix="lsmkv-redis-")
        self._process = subprocess.Popen([binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                          "--dir", self._directory, *directives],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def __enter__(self):
        def answers():
            try:
                with RawClient(self) as client:
                    return client.ask("PING") == b"+PONG"
            except OSError:
                return False
        wait_until(answers, "redis-server answers")
        return self

    def __exit__(self, *unused):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

"""How the server starts and ends: refusals in one line, orderly ends in bounded time, and no acknowledged write lost."""

import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import lsmkv_server
from lsmkv_server import Server, free_port
from raw_client import RawClient, command


def run(*arguments, timeout=30):
    return subprocess.run([lsmkv_server.binary(), *arguments], capture_output=True, text=True, timeout=timeout, check=False)


class Writer(threading.Thread):
    """Counts up one key, in pipelines; remembers the last value that was acknowledged."""

    def __init__(self, server, key):
        super().__init__()
        self._client = RawClient(server)
        self._key = key
        self.acknowledged = 0

    def run(self):
        try:
            while True:
                self._client.send(command("INCR", self._key) * 20)
                for _ in range(20):
                    self.acknowledged = int(self._client.reply()[1:])
        except (EOFError, OSError, ValueError):
            pass
        finally:
            self._client.close()


class Endings(unittest.TestCase):
    def _under_load(self, end, directives=()):
        with Server(directives=directives) as server:
            writers = [Writer(server, f"counter:{i}") for i in range(6)]
            for writer in writers:
                writer.start()
            lsmkv_server.wait_until(lambda: all(w.acknowledged > 200 for w in writers), "everybody writes")
            end(server)
            for writer in writers:
                writer.join()
            server.start()
            client = server.client()
            for i, writer in enumerate(writers):
                self.assertGreaterEqual(int(client.get(f"counter:{i}")), writer.acknowledged)

    def test_sigterm_under_load(self):
        def end(server):
            begin = time.monotonic()
            server.stop()
            self.assertLess(time.monotonic() - begin, 5)
        for mode in ("everysec", "always"):
            with self.subTest(mode=mode):
                self._under_load(end, ["--wal-fsync", mode])

    def test_kill_under_load(self):
        for mode in ("everysec", "always", "no"):
            with self.subTest(mode=mode):
                self._under_load(lambda server: server.kill(), ["--wal-fsync", mode])

    def test_shutdown_command(self):
        with Server() as server:
            with RawClient(server) as client:
                client.send(command("SET", "last", "word") + command("SHUTDOWN", "NOSAVE"))
                self.assertEqual(client.until_closed(), b"+OK\r\n")
            self.assertEqual(server.process.wait(timeout=10), 0)
            server.start()
            self.assertEqual(server.client().get("last"), b"word")

    def test_sigint_with_a_client_that_never_reads_ends_in_time(self):
        with Server(directives=["--shutdown-timeout", "2"]) as server:
            with RawClient(server) as client, RawClient(server) as glutton:
                client.ask("SET", "big", b"x" * 1_000_000)
                glutton.socket.setblocking(False)
                try:
                    for _ in range(100):
                        glutton.socket.send(command("GET", "big") * 10)
                except BlockingIOError:
                    pass
                self.assertEqual(client.ask("PING"), b"+PONG")
                begin = time.monotonic()
                server.process.send_signal(signal.SIGINT)
                self.assertEqual(server.process.wait(timeout=20), 0)
                self.assertLess(time.monotonic() - begin, 4)

    def test_a_second_signal_ends_at_once(self):
        with Server(directives=["--shutdown-timeout", "60"]) as server:
            with RawClient(server) as client:
                client.send(command("DEBUG", "SLEEP", "50"))
                with RawClient(server) as other:
                    self.assertEqual(other.ask("PING"), b"+PONG")
                server.process.send_signal(signal.SIGTERM)
                lsmkv_server.wait_until(lambda: "no new clients" in server.log_text(), "the end has begun")
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(timeout=10), 0)

    def test_sighup_opens_the_log_anew(self):
        with Server() as probe:
            log = os.path.join(probe.directory, "lsmkv.log")
            with Server(directives=["--logfile", log]) as server:
                os.rename(log, log + ".1")
                server.process.send_signal(signal.SIGHUP)
                lsmkv_server.wait_until(lambda: os.path.exists(log) and "SIGHUP" in pathlib.Path(log).read_text(), "a new log file")

    def test_sighup_goes_on_with_the_log_it_has_where_no_other_can_be_opened(self):
        with Server() as probe:
            log = os.path.join(probe.directory, "lsmkv.log")
            with Server(directives=["--logfile", log]) as server, RawClient(server) as client:
                os.rename(log, log + ".1")
                os.mkdir(log)
                server.process.send_signal(signal.SIGHUP)
                old_log = pathlib.Path(log + ".1")
                lsmkv_server.wait_until(lambda: "could not be opened again" in old_log.read_text(), "the log says so")
                self.assertEqual(client.ask("CONFIG", "SET", "loglevel", "debug"), b"+OK")
                with RawClient(server) as another:
                    self.assertEqual(another.ask("PING"), b"+PONG")
                os.rmdir(log)
                server.process.send_signal(signal.SIGHUP)
                lsmkv_server.wait_until(lambda: os.path.exists(log) and "SIGHUP" in pathlib.Path(log).read_text(), "a new log file")

    def test_save_makes_checkpoints_and_keeps_as_many_as_it_should(self):
        with Server(directives=["--checkpoints-kept", "2"]) as server:
            with RawClient(server) as client:
                for i in range(4):
                    client.ask("SET", "saved", i)
                    self.assertEqual(client.ask("SAVE"), b"+OK")
            checkpoints = os.path.join(server.directory, "data", "checkpoints")
            names = sorted(os.listdir(checkpoints))
            self.assertEqual(len(names), 2)
            server.stop()
            copy = Server(directives=["--dir", os.path.join(checkpoints, names[-1])])
            with copy:
                self.assertEqual(copy.client().get("saved"), b"3")


class Refusals(unittest.TestCase):
    def _refused(self, result, *words):
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_a_taken_port(self):
        with Server() as server, Server() as other:
            self._refused(run("--port", str(server.port), "--bind", "127.0.0.1", "--dir", other.directory + "/x"),
                          f"127.0.0.1:{server.port}", "in use", "--port")

    def test_a_locked_directory(self):
        with Server() as server:
            self._refused(run("--port", str(free_port()), "--dir", server.directory + "/data"), server.directory + "/data")
            self.assertTrue(server.client().ping())

    def test_a_directory_that_cannot_be_made(self):
        self._refused(run("--port", str(free_port()), "--dir", "/proc/nowhere"), "/proc/nowhere")

    def test_few_descriptors(self):
        """It serves, or says in one line why it does not."""
        for most in (8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 32, 64, 95, 96, 128):
            with self.subTest(descriptors=most), tempfile.TemporaryDirectory(prefix="lsmkv-few-") as place:
                port = free_port()
                server = subprocess.Popen([lsmkv_server.binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", place], text=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          preexec_fn=lambda most=most: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
                try:
                    lsmkv_server.wait_until(lambda: server.poll() is not None or run("--ping", "--port", str(port)).returncode == 0,
                                            "it has begun or ended")
                    if server.poll() is None:
                        self.assertGreaterEqual(most, 96)
                        continue
                    out, error = server.communicate()
                    self._refused(subprocess.CompletedProcess(server.args, server.returncode, out, error))
                    self.assertRegex(error, "file descriptors are too few|Too many open files")
                finally:
                    server.kill()
                    server.communicate()

    def test_bad_configuration(self):
        self._refused(run("--level-ratio", "1"), "level-ratio", "2..100")
        self._refused(run("--no-such-thing", "1"), "no-such-thing")
        self._refused(run("/no/such/file.conf"), "/no/such/file.conf")

    def test_words_that_only_print(self):
        self.assertRegex(run("--version").stdout, r"^lsmkv-server \d+\.\d+\.\d+\n$")
        self.assertIn("--port", run("--help").stdout)
        self.assertEqual(run("--check-config", "--port", "7000").returncode, 0)

    def test_ping_is_a_health_check(self):
        with Server(directives=["--requirepass", "secret"]) as server:
            address = ["--ping", "--bind", "127.0.0.1", "--port", str(server.port)]
            self.assertEqual(run(*address, "--requirepass", "secret").returncode, 0)
            self._refused(run(*address, "--requirepass", "wrong"), "WRONGPASS")
            self.assertEqual(run(*address).returncode, 0)    # the password may be known to the server alone
        self._refused(run("--ping", "--port", str(free_port())), "cannot connect")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self._refused(run("--ping", "--port", str(silent.getsockname()[1])), "no answer")


if __name__ == "__main__":
    lsmkv_server.main()

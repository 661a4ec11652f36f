"""CONFIG, the command line and the exits of the real server."""

import os
import resource
import subprocess
import tempfile
import unittest

import redis

import lsmkv_server
from lsmkv_server import REPOSITORY, Server


def run(*arguments):
    return subprocess.run([lsmkv_server.binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=lsmkv_server.WAIT_SECONDS, check=False)


class CommandLine(unittest.TestCase):
    def test_default_config_is_the_shipped_file(self):
        printed = run("--print-default-config")
        self.assertEqual(printed.returncode, 0)
        self.assertEqual(printed.stdout, (REPOSITORY / "config" / "lsmkv.conf").read_text())

    def test_check_config(self):
        self.assertEqual(run(str(REPOSITORY / "config" / "lsmkv.conf"), "--check-config").returncode, 0)
        bad = run("--level-ratio", "1", "--check-config")
        self.assertEqual(bad.returncode, 1)
        self.assertIn("directive 'level-ratio': '1' is out of range, allowed 2..100", bad.stderr)

    def test_help_and_version(self):
        self.assertIn("--level-ratio", run("--help").stdout)
        self.assertRegex(run("--version").stdout, r"\d+\.\d+\.\d+")

    def test_a_bad_line_refuses_the_start(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("port 1\nlevl-ratio 4\n")
            file.flush()
            result = run(file.name)
        self.assertEqual(result.returncode, 1)
        self.assertIn(":2: unknown directive 'levl-ratio', did you mean 'level-ratio'?", result.stderr)

    def test_ping(self):
        with Server() as server:
            self.assertEqual(run("--port", str(server.port), "--ping").returncode, 0)
            port = str(server.port)
        self.assertEqual(run("--port", port, "--ping").returncode, 1)

    def test_a_second_server_on_the_same_directory_is_refused(self):
        with Server() as server:
            data = os.path.join(server.directory, "data")
            result = run("--dir", data, "--port", str(lsmkv_server.free_port()))
            self.assertEqual(result.returncode, 1)
            self.assertTrue(result.stderr.strip(), "it says why")

    def test_a_taken_port_is_refused(self):
        with Server() as server, tempfile.TemporaryDirectory() as other:
            result = run("--dir", other, "--port", str(server.port))
            self.assertEqual(result.returncode, 1)
            self.assertIn(str(server.port), result.stderr)


class ConfigCommand(unittest.TestCase):
    def test_get_set_and_rewrite(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "lsmkv.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write("# mine\ntimeout 0\n")
            with Server(config=path) as server:
                client = server.client()
                self.assertEqual(client.config_get("appendonly")["appendonly"], "yes")
                self.assertEqual(client.config_get("save")["save"], "")
                self.assertTrue(client.config_set("timeout", 100))
                with self.assertRaisesRegex(redis.ResponseError, "can't set immutable config"):
                    client.config_set("databases", 3)
                with self.assertRaises(redis.ResponseError):
                    client.execute_command("CONFIG", "SET", "timeout", "7", "maxclients", "0")
                self.assertEqual(client.config_get("timeout")["timeout"], "100")
                self.assertTrue(client.config_rewrite())
            with open(path, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith("# mine\ntimeout 100\n"))

    def test_rewrite_without_a_file(self):
        with Server() as server:
            with self.assertRaisesRegex(redis.ResponseError, "running without a config file"):
                server.client().config_rewrite()

    def test_a_password(self):
        with Server(directives=["--requirepass", "a secret"]) as server:
            with self.assertRaises(redis.AuthenticationError):
                server.client().ping()
            self.assertTrue(server.client(password="a secret").ping())


class Descriptors(unittest.TestCase):
    def test_the_limit_is_raised_for_what_is_set_at_run_time(self):
        with Server(directives=["--maxclients", "100"]) as server:
            most = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (200, most))
            server.client().config_set("maxclients", 1000)
            self.assertGreater(resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0], 1000)


if __name__ == "__main__":
    lsmkv_server.main()

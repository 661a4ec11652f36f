"""The wire: whatever a client sends, it gets Redis's answer, and nobody else notices."""

import random
import unittest

import lsmkv_server
from lsmkv_server import Server
from raw_client import RawClient, command

PING = command("PING")


class Protocol(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        with RawClient(cls.server) as other:      # it has survived all of this
            assert other.ask("PING") == b"+PONG"
        cls.server.__exit__(None, None, None)

    def test_commands_cut_at_every_byte_run_as_if_whole(self):
        stream = (command("SET", "cut", b"a\r\nb\0c") + command("GET", "cut") + b"PING inline\r\n" + command("DEL", "cut"))
        want = b"+OK\r\n$6\r\na\r\nb\0c\r\n$6\r\ninline\r\n:1\r\n"
        for cut in range(len(stream) + 1):
            with RawClient(self.server) as client:
                client.send(stream[:cut])
                client.send(stream[cut:])
                got = b""
                while len(got) < len(want):
                    got += client.socket.recv(4096)
                self.assertEqual(got, want, f"cut at {cut}")
        with RawClient(self.server) as client:
            for byte in stream:
                client.send(bytes([byte]))
            got = b""
            while len(got) < len(want):
                got += client.socket.recv(4096)
            self.assertEqual(got, want)

    def test_a_violation_is_named_and_its_connection_closed(self):
        cases = {
            b"*2147483648\r\n": b"-ERR Protocol error: invalid multibulk length\r\n",
            b"*99999999999999999999\r\n": b"-ERR Protocol error: invalid multibulk length\r\n",
            b"*x\r\n": b"-ERR Protocol error: invalid multibulk length\r\n",
            b"*1\r\n$-5\r\n": b"-ERR Protocol error: invalid bulk length\r\n",
            b"*1\r\n$536870913\r\n": b"-ERR Protocol error: invalid bulk length\r\n",
            b"*1\r\n:5\r\n": b"-ERR Protocol error: expected '$', got ':'\r\n",
            b'SET a "x\r\n': b"-ERR Protocol error: unbalanced quotes in request\r\n",
            b"x" * 70000: b"-ERR Protocol error: too big inline request\r\n",
        }
        for sent, want in cases.items():
            with self.subTest(sent=sent[:40]), RawClient(self.server) as client:
                client.send(PING + sent)
                self.assertEqual(client.until_closed(), b"+PONG\r\n" + want)

    def test_noise_closes_its_own_connection_at_most(self):
        seed = random.randrange(1 << 32)
        noise = random.Random(seed)
        with RawClient(self.server) as witness:
            for _ in range(100):
                with RawClient(self.server) as client:
                    try:
                        client.send(noise.choice([b"", b"*3\r\n", b"*1\r\n$5\r\n"]) + noise.randbytes(noise.randrange(3000)))
                    except OSError:
                        pass
                self.assertEqual(witness.ask("PING"), b"+PONG", f"seed {seed}")

    def test_an_announced_size_takes_no_memory_until_the_bytes_come(self):
        with RawClient(self.server) as watcher:
            before = self._memory(watcher)
            clients = [RawClient(self.server) for _ in range(20)]
            for client in clients:
                client.send(b"*2\r\n$3\r\nGET\r\n$536870912\r\nabc")
            self.assertEqual(watcher.ask("PING"), b"+PONG")
            self.assertLess(self._memory(watcher) - before, 64 << 20)
            for client in clients:
                client.close()

    @staticmethod
    def _memory(client):
        text = client.ask("INFO", "memory").decode()
        return int(text.split("used_memory:")[1].split("\r\n")[0])

    def test_a_large_value_comes_back(self):
        value = bytes(range(256)) * (40 << 12)       # 40 MiB
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("SET", "large", value), b"+OK")
            self.assertEqual(client.ask("GET", "large"), value)
            self.assertEqual(client.ask("DEL", "large"), b":1")

    def test_refusals_read_as_in_redis(self):
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("NOSUCH", "a", "b"), b"-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ")
            self.assertEqual(client.ask("GET"), b"-ERR wrong number of arguments for 'get' command")
            self.assertEqual(client.ask("CLIENT", "nosuch"), b"-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.")
            self.assertEqual(client.ask("CLIENT", "LIST", "nosuch"), b"-ERR syntax error")

    def test_hello_changes_the_protocol(self):
        with RawClient(self.server) as client:
            self.assertIsNone(client.ask("GET", "missing"))
            fields = client.ask("HELLO", "3")
            self.assertEqual(fields[fields.index(b"proto") + 1], b":3")
            self.assertEqual(client.ask("GET", "missing"), b"_")
            self.assertEqual(client.ask("HELLO", "9"), b"-NOPROTO unsupported protocol version")
            self.assertIn(b"proto", client.ask("HELLO", "2"))
            self.assertIsNone(client.ask("GET", "missing"))

    def test_quit_answers_then_closes(self):
        with RawClient(self.server) as client:
            client.send(PING + command("QUIT") + PING)
            self.assertEqual(client.until_closed(), b"+PONG\r\n+OK\r\n")

    def test_a_half_closed_client_gets_its_answers(self):
        with RawClient(self.server) as client:
            client.send(command("SET", "half", "1") + command("GET", "half"))
            client.socket.shutdown(1)
            self.assertEqual(client.until_closed(), b"+OK\r\n$1\r\n1\r\n")


if __name__ == "__main__":
    lsmkv_server.main()

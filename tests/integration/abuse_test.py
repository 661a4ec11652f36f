"""Clients that behave badly, many at once: the server stays up, serves the others in time, and keeps to its memory budget.

A witness asks all the while; its p99 is printed and bounded: LSMKV_P99_MS, or 50 ms with LSMKV_LONG_TESTS=1 and 500 without, where many
tests may share the machine. LSMKV_SEED=N replays the random parts.
"""

import concurrent.futures
import itertools
import multiprocessing
import os
import random
import resource
import socket
import struct
import sys
import time
import unittest

import lsmkv_server
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command

LONG = "LSMKV_LONG_TESTS" in os.environ
P99_MS = float(os.environ.get("LSMKV_P99_MS") or (50 if LONG else 500))
CONNECTIONS = 10_000 if LONG else 1_000
BUDGET_MB = 128
MB = 1 << 20
FORK = multiprocessing.get_context("fork")


def seed_of_run():
    seed = int(os.environ.get("LSMKV_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"LSMKV_SEED={seed}", file=sys.stderr)
    return seed


def info(client, section, field):
    text = client.ask("INFO", section).decode()
    return int(text.split(field + ":")[1].split("\r\n")[0])


def peak_bytes(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


class Witness:
    """Sets and gets, and notes how long each took; a process of its own, so that it does not wait for the abusers' interpreter."""

    def __init__(self, server):
        self._server = server
        self._stopped = FORK.Event()
        self._served = FORK.Value("i", 0)
        self._result, there = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=self._run, args=(there,), daemon=True)
        self.milliseconds = []

    def _run(self, there):
        milliseconds, failed = [], None
        try:
            with RawClient(self._server) as client:
                for i in itertools.count():
                    if self._stopped.is_set():
                        break
                    begin = time.monotonic()
                    if client.ask("SET", "witness", i) != b"+OK" or client.ask("GET", "witness") != b"%d" % i:
                        raise AssertionError("a wrong answer")
                    milliseconds.append((time.monotonic() - begin) * 1000)
                    self._served.value += 1
                    self._stopped.wait(0.001)      # a client among others, not another burden
        except BaseException as error:             # pylint: disable=broad-except
            failed = repr(error)
        there.send((milliseconds, failed))

    def p99(self):
        ordered = sorted(self.milliseconds)
        return ordered[len(ordered) * 99 // 100]

    def __enter__(self):
        self._process.start()
        wait_until(lambda: self._served.value > 0, "the witness is served")
        return self

    def __exit__(self, error, *unused):
        # While the abuse is still there: it has to be served many times.
        least = self._served.value + 100
        try:
            if error is None:
                wait_until(lambda: not self._process.is_alive() or self._result.poll() or self._served.value >= least, "the witness is served")
        finally:
            self._stopped.set()
            self.milliseconds, failed = self._result.recv()
            self._process.join()
        if error is None and failed is not None:
            raise AssertionError(f"the witness was not served: {failed}")


class Abuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * CONNECTIONS + 1000
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        cls.server = Server(directives=["--memory-budget", f"{BUDGET_MB}mb", "--maxclients", "20000"])
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def setUp(self):
        self.opened = []

    def tearDown(self):
        for client in self.opened:
            client.close()
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("PING"), b"+PONG")
            wait_until(lambda: info(client, "clients", "connected_clients") == 1, "the others are gone")
        # A server under a sanitizer has another allocator, which keeps more.
        if self.server.client().info("memory")["mem_allocator"] == "jemalloc":
            self.assertLess(peak_bytes(self.server), BUDGET_MB * MB)

    def _open(self):
        client = RawClient(self.server)
        self.opened.append(client)
        return client

    def _served(self, witness):
        print(f"{self.id().rsplit('.', 1)[1]}: the witness's p99 {witness.p99():.1f} ms of {len(witness.milliseconds)}", file=sys.stderr)
        self.assertLess(witness.p99(), P99_MS)

    def test_connections_held_open(self):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        count = min(CONNECTIONS, soft - 500)
        with Witness(self.server) as witness:
            for i in range(count):
                client = self._open()
                client.send(command("SET", f"held:{i % 100}", i))
            for client in self.opened:
                self.assertEqual(client.reply(), b"+OK")
            for client in self.opened:
                client.send(command("PING"))
            for client in self.opened:
                self.assertEqual(client.reply(), b"+PONG")
        self._served(witness)

    def test_storms_of_connects(self):
        reset = struct.pack("ii", 1, 0)
        with Witness(self.server) as witness:
            for i in range(20_000 if LONG else 2_000):
                client = RawClient(self.server)
                if i % 3 == 0:
                    client.send(command("GET", "a"))                # and does not wait for the answer
                if i % 3 == 1:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                client.close()
        self._served(witness)

    def test_half_sent_commands_and_clients_of_a_byte_at_a_time(self):
        whole = command("SET", "slow", "x" * 40)
        with Witness(self.server) as witness:
            slow = [self._open() for _ in range(50)]
            for half in range(200):
                client = self._open()
                client.send(whole[:half % len(whole)])
            for byte in range(len(whole)):
                for client in slow:
                    client.send(whole[byte:byte + 1])
            for client in slow:
                self.assertEqual(client.reply(), b"+OK")
        self._served(witness)

    def test_lengths_that_are_huge_negative_or_no_numbers(self):
        lengths = [b"-1", b"-2", b"0", b"1", b"1048576", b"1048577", b"536870912", b"536870913", b"2147483647", b"2147483648", b"4294967296",
                   b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"99999999999999999999999", b"", b" 1", b"+1",
                   b"1e3", b"0x10", b"\x00", b"1\x00", b"-", b"--1"]
        with Witness(self.server) as witness:
            for length in lengths:
                for frame in (b"*%b\r\n" % length, b"*2\r\n$3\r\nGET\r\n$%b\r\n" % length, b"*%b\r\n$%b\r\n" % (length, length),
                              b"*1\r\n$%b\r\nPING\r\n" % length):
                    client = self._open()
                    client.send(frame)
                    client.socket.shutdown(socket.SHUT_WR)
                    answer = client.until_closed()
                    self.assertTrue(answer == b"" or answer[:1] in b"-+", (frame, answer[:100]))
        self._served(witness)

    def test_binary_noise(self):
        r = random.Random(seed_of_run())
        pieces = [b"*3\r\n$3\r\nSET\r\n", b"$-1\r\n", b"*", b"$5\r\nhello\r\n", b"\r\n", b"\n", b"\x00" * 50, b"GET a\r\n", b"'\"", b"PING\r\n",
                  b"%1\r\n", b"~2\r\n", b">1\r\n", b"|1\r\n"]
        with Witness(self.server) as witness:
            for _ in range(5_000 if LONG else 500):
                noise = b"".join(r.choice(pieces) if r.random() < 0.5 else r.randbytes(r.randrange(200)) for _ in range(r.randrange(30)))
                client = RawClient(self.server)
                try:
                    client.send(noise)
                    client.socket.shutdown(socket.SHUT_WR)
                    client.until_closed()
                except OSError:
                    pass
                client.close()
        self._served(witness)

    def test_deep_pipelines_that_are_never_read(self):
        with RawClient(self.server) as client:
            self.assertEqual(client.ask("SET", "ten", b"v" * 10_000), b"+OK")
        stream = command("GET", "ten") * 10_000                # a hundred megabytes of replies, for each client
        with Witness(self.server) as witness:
            gluttons = [self._open() for _ in range(50 if LONG else 20)]
            sent = dict.fromkeys(range(len(gluttons)), 0)
            for glutton in gluttons:
                glutton.socket.setblocking(False)
            for _ in range(50):
                for i, glutton in enumerate(gluttons):
                    try:
                        while sent[i] < len(stream):
                            sent[i] += glutton.socket.send(stream[sent[i]:sent[i] + (1 << 17)])
                    except BlockingIOError:
                        pass
            # One that reads after all gets everything, in order.
            gluttons[0].socket.settimeout(lsmkv_server.WAIT_SECONDS)
            for _ in range(200):
                self.assertEqual(gluttons[0].reply(), b"v" * 10_000)
        self._served(witness)

    def test_keys_of_a_megabyte(self):
        with Witness(self.server) as witness, RawClient(self.server) as client:
            for i in range(20):
                key = b"%d" % i + b"k" * (MB - 2)
                self.assertEqual(client.ask("SET", key, i), b"+OK")
                self.assertEqual(client.ask("GET", key), b"%d" % i)
                self.assertEqual(client.ask("DEL", key), b":1")
            answer = client.ask("SET", b"k" * (2 * MB), "x")
            self.assertTrue(answer.startswith(b"-ERR "), answer[:100])
            self.assertEqual(client.ask("GET", b"k" * (2 * MB)), None)
        self._served(witness)


class LargeKeys(unittest.TestCase):
    def test_keys_of_a_megabyte_that_stay_are_found_after_flush_compaction_and_restart(self):
        """Each table's first and last key are in memory for as long as it is there, on top of the budget and some times over while a manifest
        is written; its text, five times as long for bytes that are no letters, is not."""
        count = 300 if LONG else 100
        kept_times = 8
        r = random.Random(1)
        no_letters = bytes(range(128, 256)) * 2
        keys = [b"%03d" % i + r.randbytes(MB - 3).translate(no_letters) for i in range(count)]
        with Server(directives=["--memory-budget", f"{BUDGET_MB}mb"]) as server:
            for again in range(2):
                tables = len(keys) // 11           # that a memtable of this budget holds
                with RawClient(server) as client:
                    client.socket.settimeout(120)  # writers are slowed
                    if not again:
                        for i, key in enumerate(keys):
                            self.assertEqual(client.ask("SET", key, i), b"+OK")
                    self.assertEqual(client.ask("LSM", "FLUSH"), b"+OK")
                    tables = max(tables, len(os.listdir(os.path.join(server.directory, "data", "sst"))))
                    self.assertEqual(client.ask("LSM", "COMPACT"), b"+OK")
                    for i, key in enumerate(keys):
                        self.assertEqual(client.ask("GET", key), b"%d" % i)
                    cursor, found = client.ask("SCAN", "0", "COUNT", "10")
                    while cursor != b"0":
                        cursor, more = client.ask("SCAN", cursor, "COUNT", "10")
                        found += more
                    self.assertEqual(sorted(found), sorted(keys))
                peak = peak_bytes(server)
                print(f"large keys: peak {peak / MB:.0f} MB, {tables} tables", file=sys.stderr)
                if server.client().info("memory")["mem_allocator"] == "jemalloc":
                    self.assertLess(peak, BUDGET_MB * MB + kept_times * tables * 2 * MB)
                server.kill()
                server.start()


class EveryCommand(unittest.TestCase):
    """Every command the server says it has, subcommands too, with every number of arguments and with arguments that make no sense."""

    # They end the connection or the server, stop everybody on purpose, change what the test itself relies on, or take their time.
    LEFT_OUT = {"shutdown", "quit", "debug|sleep", "debug|segfault", "client|pause", "client|kill", "client|reply", "config|rewrite",
                "debug|panic", "monitor"}
    WORDS = (b"", b"x", b"-1", b"0", b"1", b"99999999999999999999", b"-9223372036854775808", b"1e400", b"nan", b"*", b"\x00\xff\r\n",
             b"k" * 5000, b"LIMIT", b"MATCH", b"EX", b"PXAT", b"NX", b"string", b"text")

    def _names(self, client):
        for described in client.ask("COMMAND"):
            subcommands = described[9] if len(described) > 9 else []
            names = [sub[0] for sub in subcommands] or [described[0]]
            for name in names:
                if name.decode().lower() not in self.LEFT_OUT:
                    yield [word.encode() for word in name.decode().split("|")]

    @staticmethod
    def _arities(client):
        """Of every command there is, as its words: how many words it takes, or at least if negative."""
        for described in client.ask("COMMAND"):
            subcommands = described[9] if len(described) > 9 else []
            for name, arity, *_ in subcommands or [described]:
                yield [word.encode() for word in name.decode().split("|")], int(arity[1:])

    def test_a_wrong_number_of_arguments_is_refused_as_such(self):
        with Server() as server, RawClient(server) as client:
            arities = list(self._arities(client))
            self.assertGreater(len(arities), 60)
            tried = 0
            for name, arity in arities:
                for count in range(len(name), abs(arity) + 3):
                    if count == arity or (arity < 0 and count >= -arity):
                        continue
                    answer = client.ask(*name, *[b"1"] * (count - len(name)))
                    self.assertRegex(answer, b"^-(ERR |EXECABORT .*)(wrong number of arguments for '|unknown subcommand or wrong number)", f"{name} with {count} words")
                    tried += 1
            self.assertGreater(tried, 150)
            self.assertEqual(client.ask("PING"), b"+PONG")
            self.assertEqual(client.ask("DBSIZE"), b":0")

    def test_wrong_arity_and_wrong_types_are_answered(self):
        r = random.Random(seed_of_run())
        with Server() as server, RawClient(server) as client:
            client.ask("SET", "text", "no number")
            names = list(self._names(client))
            self.assertGreater(len(names), 60)
            for name in names:
                tries = [r.choices(self.WORDS, k=count) for count in range(8) for _ in range(40 if LONG else 6)]
                tries += [["text"] * count for count in range(1, 5)]
                for arguments in tries:
                    sent = command(*name, *arguments)
                    client.send(sent)
                    try:
                        client.reply()
                        continue
                    except (EOFError, OSError) as error:
                        self.fail(f"{b' '.join(name)} with {arguments!r:.300}: {error!r}; {server.process.poll()}")
                    self.fail(f"{name}: no answer")
                client.send(command("DISCARD") + command("AUTH", "x") + command("CLIENT", "REPLY", "ON") + command("SELECT", "0") + command("HELLO", "2"))
                for _ in range(5):
                    client.reply()
                self.assertEqual(client.ask("PING"), b"+PONG", name)
            self.assertIsNone(server.process.poll())

    def test_so_they_are_in_transactions(self):
        r = random.Random(seed_of_run())
        with Server() as server, RawClient(server) as client:
            client.ask("SET", "text", "no number")
            names = [name for name in self._names(client) if name[0] not in (b"multi", b"watch", b"exec", b"discard", b"reset", b"quit")]
            for name in names:
                for count in range(8):
                    tries = [r.choices(self.WORDS, k=count) for _ in range(20 if LONG else 4)]
                    self.assertEqual(client.ask("MULTI"), b"+OK", name)
                    queued = [client.ask(*name, *arguments) for arguments in tries]
                    reply = client.ask("EXEC")
                    if queued == [b"+QUEUED"] * len(tries):
                        self.assertEqual(len(reply), len(tries), name)
                    else:
                        self.assertTrue(reply.startswith(b"-EXECABORT"), f"{name}: {queued} {reply}")
                client.send(command("AUTH", "x") + command("SELECT", "0") + command("HELLO", "2"))
                for _ in range(3):
                    client.reply()
                self.assertEqual(client.ask("PING"), b"+PONG", name)
            self.assertIsNone(server.process.poll())


class HugeValues(unittest.TestCase):
    """A huge argument comes on top of the budget, as the directive says; but one for all clients, not one for each, nor for each of its ways."""

    VALUE_MB = 512 if LONG else 128
    WAYS = 3                        # its input, its batch, and what is flushed
    SECONDS = 600

    def _server(self):
        piece = random.Random(1).randbytes(MB)
        self.value = piece * self.VALUE_MB
        return Server(directives=["--memory-budget", "64mb", "--shutdown-timeout", "60"])

    def _set_and_get(self, server, number):
        """The value is not kept once more on the way back: the clients of this process need memory too."""
        with RawClient(server) as client:
            client.socket.settimeout(self.SECONDS)
            name = f"huge:{number}"
            self.assertEqual(client.ask("SET", name, self.value), b"+OK")
            self.assertEqual(client.ask("STRLEN", name), b":%d" % len(self.value))
            self._get(client, name)

    def _get(self, client, name):
        client.send(command("GET", name))
        at, expected = 0, memoryview(b"$%d\r\n" % len(self.value) + self.value + b"\r\n")
        while at < len(expected):
            part = client.socket.recv(1 << 20)
            self.assertTrue(part and expected[at:at + len(part)] == part, f"{name}: another byte near {at}, or the end")
            at += len(part)

    def _check(self, server, witness, values=WAYS):
        peak = peak_bytes(server)
        print(f"{self.id().rsplit('.', 1)[1]}: peak {peak / MB:.0f} MB; the witness's p99 {witness.p99():.1f} ms, the longest "
              f"{max(witness.milliseconds):.1f} of {len(witness.milliseconds)}", file=sys.stderr)
        self.assertLess(witness.p99(), P99_MS)
        if server.client().info("memory")["mem_allocator"] == "jemalloc":
            self.assertLess(peak, 64 * MB + values * len(self.value))

    def test_a_huge_value_against_a_small_budget(self):
        with self._server() as server:
            with Witness(server) as witness, RawClient(server) as client:
                for i in range(2):
                    self._set_and_get(server, i)
                most = 512 * MB            # proto-max-bulk-len
                client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nhuger\r\n$%d\r\n" % (most + 1))
                self.assertTrue(client.reply().startswith(b"-ERR Protocol error: invalid bulk length"))
            self._check(server, witness)
            self.assertLess(max(witness.milliseconds), 1500)      # it was seconds while the others' log waited for such a value
            server.kill()
            server.start()
            with RawClient(server) as client:
                client.socket.settimeout(self.SECONDS)
                self._get(client, "huge:1")

    @unittest.skipUnless(LONG, "the long form (LSMKV_LONG_TESTS=1) only")
    def test_huge_values_of_several_clients_at_once(self):
        with self._server() as server:
            with Witness(server) as witness, concurrent.futures.ThreadPoolExecutor(4) as clients:
                list(clients.map(lambda number: self._set_and_get(server, number), range(4)))
            self._check(server, witness, self.WAYS + 1)           # one is sent while another comes


if __name__ == "__main__":
    lsmkv_server.main()

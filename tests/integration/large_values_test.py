"""Values of megabytes that lie in blob files, through a small memory budget: sent from where they lie, few at a time, none damaged."""

import random
import socket
import threading
import unittest

import lsmkv_server
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command

MB = 1 << 20
BUDGET_MB = 64
VALUE_MB = 24
CLIENTS = 8


def value(number):
    """Every other one does not compress."""
    piece = random.Random(number).randbytes(MB) if number % 2 else bytes([65 + number]) * MB
    return b"%d:" % number + piece * VALUE_MB


def status_bytes(server, name):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


class LargeValues(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server(directives=["--memory-budget", f"{BUDGET_MB}mb"]))
        self.client = self.enterContext(RawClient(self.server))
        for number in range(CLIENTS):
            self.assertEqual(self.client.ask("SET", f"large{number}", value(number)), b"+OK")
        self.assertEqual(self.client.ask("LSM", "FLUSH"), b"+OK")

    def read(self, number, results, hurry):
        with RawClient(self.server) as client:
            client.send(command("GET", f"large{number}"))
            if not hurry:
                client.socket.recv(1, socket.MSG_PEEK)
            results[number] = client.reply() == value(number)

    def read_together(self):
        results = {}
        threads = [threading.Thread(target=self.read, args=(number, results, number % 3)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: True for number in range(CLIENTS)})

    def test_many_at_once_are_in_memory_a_few_at_a_time(self):
        with open(f"/proc/{self.server.process.pid}/clear_refs", "w", encoding="ascii") as peak:
            peak.write("5")
        before = status_bytes(self.server, "VmRSS")
        self.read_together()
        used = status_bytes(self.server, "VmHWM") - before
        if self.server.client().info("memory")["mem_allocator"] == "jemalloc":     # else it is under a sanitizer
            self.assertLess(used, 4 * VALUE_MB * MB, f"{used / MB:.0f} MB for {CLIENTS} values of {VALUE_MB} MB")
        self.assertEqual(self.client.ask("GET", "nothing"), None)

    def change(self, number, words):
        with RawClient(self.server) as client:
            self.assertEqual(client.ask(*words), b"+OK" if words[0] == "RENAME" else b":1", words)

    def test_many_that_are_changed_at_once_are_in_memory_a_few_at_a_time(self):
        with open(f"/proc/{self.server.process.pid}/clear_refs", "w", encoding="ascii") as peak:
            peak.write("5")
        before = status_bytes(self.server, "VmRSS")
        changes = [("EXPIRE", f"large{n}", 10_000) if n % 3 == 0 else ("COPY", f"large{n}", f"copy{n}") if n % 3 == 1 else
                   ("RENAME", f"large{n}", f"copy{n}") for n in range(CLIENTS)]
        threads = [threading.Thread(target=self.change, args=(n, words)) for n, words in enumerate(changes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = status_bytes(self.server, "VmHWM") - before
        if self.server.client().info("memory")["mem_allocator"] == "jemalloc":     # else it is under a sanitizer
            self.assertLess(used, 7 * VALUE_MB * MB, f"{used / MB:.0f} MB for {CLIENTS} values of {VALUE_MB} MB")
        for n in range(CLIENTS):
            self.assertEqual(self.client.ask("GET", f"large{n}" if n % 3 == 0 else f"copy{n}"), value(n))

    def test_parts_and_several_and_what_is_written_meanwhile(self):
        self.assertEqual(self.client.ask("GETRANGE", "large1", 5 * MB, 5 * MB + 9), value(1)[5 * MB:5 * MB + 10])
        self.assertEqual(self.client.ask("GETRANGE", "large1", 1, -1), value(1)[1:])
        self.assertEqual(self.client.ask("MGET", "large0", "nothing", "large3"), [value(0), None, value(3)])
        # A reply that has begun is of the value as it was.
        with RawClient(self.server) as slow:
            slow.send(command("GET", "large5") + command("GET", "large5"))
            self.assertEqual(slow.line(), b"$%d" % len(value(5)))
            self.assertEqual(self.client.ask("SET", "large5", "new"), b"+OK")
            self.assertEqual(self.client.ask("LSM", "FLUSH"), b"+OK")
            self.assertEqual(self.client.ask("LSM", "COMPACT"), b"+OK")
            slow._buffer[:0] = b"$%d\r\n" % len(value(5))
            self.assertEqual(slow.reply(), value(5))
            self.assertEqual(slow.reply(), b"new")
        self.assertEqual(self.client.ask("GETDEL", "large7"), value(7))
        self.assertEqual(self.client.ask("GET", "large7"), None)
        self.assertEqual(self.client.ask("MULTI"), b"+OK")
        self.client.ask("GET", "large1")
        self.client.ask("STRLEN", "large0")
        self.assertEqual(self.client.ask("EXEC"), [value(1), b":%d" % len(value(0))])

    def test_who_only_looks_at_large_values_does_not_wait_for_those_who_read_them(self):
        with RawClient(self.server) as slow:
            slow.send(command("GET", "large0"))
            slow.socket.recv(1, socket.MSG_PEEK)
            self.assertEqual(self.client.ask("EXISTS", "large1", "large3"), b":2")
            self.assertEqual(self.client.ask("TTL", "large5"), b":-1")
            self.assertEqual(self.client.ask("TYPE", "large7"), b"+string")
            self.assertEqual(self.client.ask("STRLEN", "large2"), b":%d" % len(value(2)))
            self.assertEqual(self.server.client().info("stats")["large_reads_put_off"], 0)
            self.assertEqual(slow.reply(), value(0))


class LargeReplies(unittest.TestCase):
    """Replies that are large together: of many values, or of a transaction."""

    def fill(self, *directives):
        self.server = self.enterContext(Server(directives=["--memory-budget", f"{BUDGET_MB}mb", *directives]))
        self.client = self.enterContext(RawClient(self.server))

    def set(self, prefix, count, megabytes):
        values = [random.Random(f"{prefix}{number}").randbytes(megabytes * MB) for number in range(count)]
        for number, data in enumerate(values):
            self.assertEqual(self.client.ask("SET", f"{prefix}{number}", data), b"+OK")
        self.assertEqual(self.client.ask("LSM", "FLUSH"), b"+OK")
        return values

    def waiting(self):
        return self.server.client().info("clients")["clients_waiting_to_read_large"]

    def ask_and_do_not_read(self, clients, question, most_served, most_bytes):
        """They all ask, a few are served, the others wait, others are answered; then they read. Returns their last replies."""
        with open(f"/proc/{self.server.process.pid}/clear_refs", "w", encoding="ascii") as peak:
            peak.write("5")
        before = status_bytes(self.server, "VmRSS")
        askers = [self.enterContext(RawClient(self.server)) for _ in range(clients)]
        for asker in askers:
            asker.send(question)
        wait_until(lambda: self.waiting() >= clients - most_served, "most of them wait for memory")
        self.assertEqual(self.client.ask("PING"), b"+PONG")
        replies = [None] * clients

        def read(index):
            for _ in range(question.count(b"*")):
                replies[index] = askers[index].reply()
            askers[index].socket.close()

        threads = [threading.Thread(target=read, args=(index,)) for index in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.assertEqual(self.client.ask("PING"), b"+PONG")
            threads[-1].join(0.01)
            threads[0].join(0.01)
        used = status_bytes(self.server, "VmHWM") - before
        if self.server.client().info("memory")["mem_allocator"] == "jemalloc":
            self.assertLess(used, most_bytes, f"{used / MB:.0f} MB")
        return replies

    def test_of_many_values_that_are_not_large(self):
        self.fill()
        values = self.set("v", 70, 1)
        question = command("MGET", *[f"v{number}" for number in range(70)])
        for reply in self.ask_and_do_not_read(8, question, 2, 280 * MB):
            self.assertEqual(reply, values)

    def test_of_transactions(self):
        self.fill()
        values = self.set("t", 3, VALUE_MB)
        gets = b"".join(command("GET", f"t{number}") for number in range(3))
        for reply in self.ask_and_do_not_read(6, command("MULTI") + gets + command("EXEC"), 2, 260 * MB):
            self.assertEqual(reply, values)
        writing = command("MULTI") + command("INCR", "ran") + gets + command("EXEC")
        replies = self.ask_and_do_not_read(6, writing, 2, 260 * MB)
        self.assertEqual(sorted(reply[0] for reply in replies), [b":%d" % number for number in range(1, 7)])
        for reply in replies:
            self.assertEqual(reply[1:], values)
        self.assertEqual(self.client.ask("GET", "ran"), b"6")

    def test_of_values_in_tables(self):
        self.fill("--min-blob-size", "0")
        values = self.set("in", 1, VALUE_MB)
        for reply in self.ask_and_do_not_read(20, command("GET", "in0"), 4, 300 * MB):
            self.assertEqual(reply, values[0])

    def test_one_that_would_take_more_than_any_value_is_refused_and_changes_nothing(self):
        self.fill()
        self.set("m", 4, VALUE_MB)
        names = [f"m{number % 4}" for number in range(512 // VALUE_MB + 2)]
        error = self.client.ask("MGET", *names)
        self.assertIn(b"-ERR the values of this reply have more than the 536870912 bytes", error)
        self.assertEqual(self.client.ask("MULTI"), b"+OK")
        self.client.ask("SET", "written", "1")
        for name in names:
            self.client.ask("GET", name)
        error = self.client.ask("EXEC")
        self.assertIn(b"-EXECABORT Transaction discarded because of: the values of this reply have more than", error)
        self.assertEqual(self.client.ask("EXISTS", "written"), b":0")
        self.assertEqual(self.client.ask("EXEC"), b"-ERR EXEC without MULTI")
        self.assertEqual(len(self.client.ask("MGET", "m0", "m1")), 2)


if __name__ == "__main__":
    lsmkv_server.main()

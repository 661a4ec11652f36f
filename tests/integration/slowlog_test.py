"""SLOWLOG and LATENCY over the wire: as Redis has them, whichever thread a command ran on.

What is expected of both is held with Redis's own server, too, where one is installed.
"""

import contextlib
import threading
import time
import unittest

import lsmkv_server
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command
from redis_server import redis_or_skip

REDACTED = b"(redacted)"
LONG = b"x" * 200
LONG_CUT = b"x" * 128 + b"... (72 more bytes)"
WRONG_COUNT = b"-ERR count should be greater than or equal to -1"

# Name -> what is sent, and what is in the slow log then, oldest first, when everything is logged.
LOGGED = {
    "reads, writes, errors, whatever ran": (
        ["SET a x", "GET a", "INCR a", "KEYS none"],
        ["SET a x", "GET a", "INCR a", "KEYS none"]),
    "not what was refused": (["GET", "NOSUCH x", "CLIENT NOSUCH", "PING"], ["PING"]),
    "the commands of a transaction as they run, and not EXEC": (
        ["MULTI", "SET b 1", "INCR b", "KEYS none", "EXEC", "MULTI", "SET b 2", "DISCARD", "GET b"],
        ["MULTI", "SET b 1", "INCR b", "KEYS none", "MULTI", "DISCARD", "GET b"]),
    "no passwords": (
        ["AUTH pw", "AUTH default pw", "HELLO 2 AUTH default pw SETNAME n", "CONFIG SET requirepass pw", "AUTH pw",
         "CONFIG SET maxclients 100 requirepass nosuch maxclients 1", "MULTI", "AUTH pw", "EXEC", "CONFIG SET requirepass "],
        [[b"AUTH", REDACTED], [b"AUTH", REDACTED, REDACTED], [b"HELLO", b"2", b"AUTH", REDACTED, REDACTED, b"SETNAME", b"n"],
         [b"CONFIG", b"SET", b"requirepass", REDACTED], [b"AUTH", REDACTED],
         [b"CONFIG", b"SET", b"maxclients", b"100", b"requirepass", REDACTED, b"maxclients", b"1"], "MULTI", [b"AUTH", REDACTED],
         [b"CONFIG", b"SET", b"requirepass", REDACTED]]),
    "long arguments cut": (["SET a " + LONG.decode(), "ECHO " + "x" * 128], [[b"SET", b"a", LONG_CUT], "ECHO " + "x" * 128]),
    "many arguments cut": (
        ["DEL " + " ".join(map(str, range(31))), "DEL " + " ".join(map(str, range(40)))],
        ["DEL " + " ".join(map(str, range(31))), [b"DEL", *(b"%d" % i for i in range(30)), b"... (10 more arguments)"]]),
    "itself": (["SLOWLOG LEN", "SLOWLOG GET 1"], ["SLOWLOG LEN", "SLOWLOG GET 1"]),
}

# What is sent, and the reply, with nothing logged. In both protocols.
REPLIES = [
    ("SLOWLOG GET", []), ("SLOWLOG GET 0", []), ("SLOWLOG GET -1", []), ("SLOWLOG GET -2", WRONG_COUNT), ("SLOWLOG GET x", WRONG_COUNT),
    ("SLOWLOG GET 99999999999999999999", WRONG_COUNT),
    ("SLOWLOG get 1 2", b"-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP."),
    ("SLOWLOG LEN", b":0"), ("SLOWLOG RESET", b"+OK"), ("SLOWLOG LEN 1", b"-ERR wrong number of arguments for 'slowlog|len' command"),
    ("SLOWLOG", b"-ERR wrong number of arguments for 'slowlog' command"), ("SLOWLOG x", b"-ERR unknown subcommand 'x'. Try SLOWLOG HELP."),
    ("LATENCY LATEST", []), ("LATENCY HISTORY command", []), ("LATENCY HISTORY nosuch", []), ("LATENCY RESET", b":0"),
    ("LATENCY RESET command nosuch", b":0"), ("LATENCY HISTOGRAM nosuch", []),
    ("LATENCY GRAPH nosuch", b"-ERR No samples available for event 'nosuch'"),
    ("LATENCY HISTORY", b"-ERR wrong number of arguments for 'latency|history' command"),
    ("LATENCY DOCTOR x", b"-ERR wrong number of arguments for 'latency|doctor' command"),
    ("LATENCY", b"-ERR wrong number of arguments for 'latency' command"), ("LATENCY x", b"-ERR unknown subcommand 'x'. Try LATENCY HELP."),
    ("CONFIG SET slowlog-log-slower-than -2", b"-ERR CONFIG SET failed (possibly related to argument 'slowlog-log-slower-than') - "
     b"argument must be between -1 and 9223372036854775807 inclusive"),
    ("CONFIG SET slowlog-log-slower-than x", b"-ERR CONFIG SET failed (possibly related to argument 'slowlog-log-slower-than') - "
     b"argument couldn't be parsed into an integer"),
    ("CONFIG SET latency-tracking-info-percentiles 100.1", b"-ERR CONFIG SET failed (possibly related to argument "
     b"'latency-tracking-info-percentiles') - latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    ("CONFIG SET latency-tracking-info-percentiles x", b"-ERR CONFIG SET failed (possibly related to argument "
     b"'latency-tracking-info-percentiles') - Invalid latency-tracking-info-percentiles parameters"),
]
DEFAULTS = {b"slowlog-log-slower-than": b"10000", b"slowlog-max-len": b"128", b"latency-monitor-threshold": b"0", b"latency-tracking": b"yes",
            b"latency-tracking-info-percentiles": b"50 99 99.9"}


def words_of(text):
    return text.split(" ")     # an argument may be empty


def log_everything(client):
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.ask("SLOWLOG", "RESET")


def entries(client):
    """Oldest first, without the RESET they begin with."""
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    return client.ask("SLOWLOG", "GET", "-1")[::-1][1:]


class AsRedis:
    """`self.server()` is lsmkv or Redis."""

    def test_what_is_logged(self):
        with self.server() as server:
            for name, (sent, logged) in LOGGED.items():
                with self.subTest(name), RawClient(server) as client:
                    log_everything(client)
                    for line in sent:
                        client.ask(*words_of(line))
                    self.assertEqual([entry[3] for entry in entries(client)],
                                     [words if isinstance(words, list) else words.encode().split(b" ") for words in logged])

    def test_replies_and_defaults(self):
        with self.server() as server:
            for protocol in ("2", "3"):
                with RawClient(server) as client:
                    client.ask("HELLO", protocol)
                    for line, expected in REPLIES:
                        self.assertEqual(client.ask(*line.split()), expected, line)
                    for name, value in DEFAULTS.items():
                        self.assertEqual(client.ask("CONFIG", "GET", name), [name, value])
                    self.assertIn(b"LATENCY", client.ask("LATENCY", "HELP")[0])
                    self.assertIn(b"SLOWLOG", client.ask("SLOWLOG", "HELP")[0])

    def test_an_entry(self):
        with self.server() as server, RawClient(server) as client, RawClient(server) as other:
            before = int(time.time())
            other.ask("CLIENT", "SETNAME", "sleeper")
            self.assertEqual(other.ask("DEBUG", "SLEEP", "0.05"), b"+OK")
            entry = client.ask("SLOWLOG", "GET", "-1")[-1]            # a slow machine may have added some
            self.assertEqual(len(entry), 6)
            self.assertTrue(entry[0].startswith(b":") and entry[2].startswith(b":"))
            self.assertLessEqual(before, int(entry[1][1:]))
            self.assertLessEqual(int(entry[1][1:]), int(time.time()))
            self.assertLessEqual(50_000, int(entry[2][1:]))
            self.assertEqual(entry[3], [b"DEBUG", b"SLEEP", b"0.05"])
            self.assertEqual(entry[4], b"127.0.0.1:%d" % other.socket.getsockname()[1])
            self.assertEqual(entry[5], b"sleeper")

    def test_the_directives(self):
        with self.server() as server, RawClient(server) as client:
            client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
            log = client.ask("SLOWLOG", "GET")
            self.assertEqual(log[0][3], [b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"])   # judged by what it has set
            for _ in range(20):
                client.ask("PING")
            self.assertEqual(len(client.ask("SLOWLOG", "GET")), 10)
            self.assertEqual(len(client.ask("SLOWLOG", "GET", "15")), 15)
            client.ask("CONFIG", "SET", "slowlog-max-len", "3")
            self.assertEqual(client.ask("SLOWLOG", "LEN"), b":3")
            last = int(client.ask("SLOWLOG", "GET", "1")[0][0][1:])
            client.ask("SLOWLOG", "RESET")
            after = client.ask("SLOWLOG", "GET")
            self.assertEqual([int(entry[0][1:]) for entry in after], [last + 2])      # that GET, and RESET itself
            client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
            client.ask("SLOWLOG", "RESET")
            client.ask("PING")
            self.assertEqual(client.ask("SLOWLOG", "LEN"), b":0")
            client.ask("CONFIG", "SET", "slowlog-max-len", "0", "slowlog-log-slower-than", "0")
            client.ask("PING")
            self.assertEqual(client.ask("SLOWLOG", "LEN"), b":0")

    def test_events(self):
        with self.server() as server, RawClient(server) as client:
            client.ask("DEBUG", "SLEEP", "0.03")
            self.assertEqual(client.ask("LATENCY", "LATEST"), [])
            client.ask("CONFIG", "SET", "latency-monitor-threshold", "20")
            client.ask("DEBUG", "SLEEP", "0.03")
            client.ask("DEBUG", "SLEEP", "0.06")
            latest = {event[0]: event[1:] for event in client.ask("LATENCY", "LATEST")}[b"command"]
            seconds, last, worst = (int(value[1:]) for value in latest)
            self.assertLess(abs(seconds - time.time()), 600)
            self.assertTrue(60 <= last <= worst, latest)
            history = client.ask("LATENCY", "HISTORY", "command")
            self.assertIn(len(history), (1, 2))                                       # one a second
            self.assertEqual(history[-1], latest[:2])
            graph = client.ask("LATENCY", "GRAPH", "command")
            self.assertTrue(graph.startswith(b"command - high "), graph)
            self.assertIn(b"command", client.ask("LATENCY", "DOCTOR"))
            self.assertEqual(client.ask("LATENCY", "RESET", "command"), b":1")
            self.assertNotIn(b"command", [event[0] for event in client.ask("LATENCY", "LATEST")])

    def test_histograms(self):
        lines = {b":%d" % ((1032 << n) // 1000) for n in range(32)}
        with self.server() as server, RawClient(server) as client:
            client.ask("CONFIG", "RESETSTAT")
            for i in range(50):
                client.ask("SET", "a", i)
            client.ask("MULTI")
            client.ask("SET", "a", "1")
            client.ask("EXEC")
            client.ask("CONFIG", "GET", "nosuch")
            reply = client.ask("LATENCY", "HISTOGRAM", "SET", "config", "nosuch", "get")
            by_name = dict(zip(reply[::2], reply[1::2]))
            self.assertEqual(list(by_name), [b"set", b"config|get"] if b"config|resetstat" not in by_name else
                             [b"set"] + [name for name in by_name if name != b"set"])
            self.assertEqual(by_name[b"set"][:3], [b"calls", b":51", b"histogram_usec"])
            buckets = by_name[b"set"][3]
            self.assertLessEqual(set(buckets[::2]), lines)
            counts = [int(count[1:]) for count in buckets[1::2]]
            self.assertEqual(counts, sorted(set(counts)))
            self.assertEqual(counts[-1], 51)
            self.assertEqual(client.ask("LATENCY", "HISTOGRAM", "config|get")[0], b"config|get")
            client.ask("CONFIG", "SET", "latency-tracking", "no")
            client.ask("SET", "a", "1")
            self.assertEqual(client.ask("LATENCY", "HISTOGRAM", "set")[1][1], b":51")
            client.ask("CONFIG", "SET", "latency-tracking", "yes")
            client.ask("CONFIG", "RESETSTAT")
            self.assertEqual(client.ask("LATENCY", "HISTOGRAM", "set"), [])
            client.ask("SET", "a", "1")
            client.ask("HELLO", "3")
            client.send(command("LATENCY", "HISTOGRAM", "set"))
            self.assertEqual([client.line() for _ in range(4)], [b"%1", b"$3", b"set", b"%2"])


    def test_percentiles(self):
        with self.server() as server, RawClient(server) as client:
            def percentiles():
                """By command: the names of its percentiles, and their microseconds as text."""
                heading, *lines = client.ask("INFO", "latencystats").decode().splitlines()
                self.assertEqual(heading, "# Latencystats")
                found = {}
                for line in lines:
                    name, text = line.split(":")
                    self.assertTrue(name.startswith("latency_percentiles_usec_"), name)
                    found[name.removeprefix("latency_percentiles_usec_")] = [p.split("=") for p in text.split(",") if p]
                return found
            client.ask("CONFIG", "RESETSTAT")
            for i in range(50):
                client.ask("SET", "a", i)
            client.ask("DEBUG", "SLEEP", "0.05")
            client.ask("CONFIG", "GET", "nosuch")
            found = percentiles()
            self.assertIn("config|get", found)
            self.assertNotIn("get", found)
            for command_name, each in found.items():
                self.assertEqual([name for name, _ in each], ["p50", "p99", "p99.9"], command_name)
                for _, micros in each:
                    self.assertRegex(micros, r"^\d+\.\d{3}$")
                self.assertEqual(each, sorted(each, key=lambda pair: float(pair[1])))
            [[_, slept], *_] = next(each for name, each in found.items() if name.startswith("debug"))
            self.assertLessEqual(50_000, float(slept))
            for sections, expected in (([], False), (["default"], False), (["all"], True), (["everything"], True), (["server"], False)):
                self.assertEqual(b"# Latencystats\r\n" in client.ask("INFO", *sections), expected, sections)
            for text, names in (("0 12.5 100", ["p0", "p12.5", "p100"]), ("99 50 50", ["p99", "p50", "p50"]), ("", [])):
                self.assertEqual(client.ask("CONFIG", "SET", "latency-tracking-info-percentiles", text), b"+OK")
                self.assertEqual([name for name, _ in percentiles()["set"]], names)
                self.assertEqual(client.ask("CONFIG", "GET", "latency-tracking-info-percentiles")[1], text.encode())
            client.ask("CONFIG", "SET", "latency-tracking", "no")
            self.assertEqual(percentiles(), {})
            client.ask("CONFIG", "SET", "latency-tracking", "yes")
            self.assertIn("set", percentiles())
            client.ask("CONFIG", "RESETSTAT")
            self.assertNotIn("set", percentiles())


class OfThisServer(AsRedis, unittest.TestCase):
    def server(self):
        return Server()

    def test_entries_of_all_loops_are_in_one_order(self):
        with Server(directives=["--io-threads", "2", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000"]) as server:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(RawClient(server)) for _ in range(6)]

                def run(client, index):
                    for i in range(20):
                        client.send(b"".join(command("SET", f"{index}", j) for j in range(20)))
                        for _ in range(20):
                            client.reply()
                        client.ask("KEYS", "none")
                threads = [threading.Thread(target=run, args=each) for each in zip(clients, range(6))]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                log = clients[0].ask("SLOWLOG", "GET", "-1")
                ids = [int(entry[0][1:]) for entry in log]
                self.assertEqual(ids, list(range(ids[0], -1, -1)))
                for name in (b"SET", b"KEYS"):
                    self.assertEqual(sum(entry[3][0] == name for entry in log), 6 * 20 * (20 if name == b"SET" else 1))
                self.assertEqual(len({entry[4] for entry in log if entry[3][0] == b"SET"}), 6)

    def test_client_libraries_read_it(self):
        with Server() as server:
            client = server.client()
            client.config_set("slowlog-log-slower-than", 0)
            client.set("a", "b")
            entry = client.slowlog_get(1)[0]
            self.assertEqual((entry["command"], client.slowlog_len() > 1), (b"SET a b", True))
            self.assertTrue(client.slowlog_reset())


class OfRedis(AsRedis, unittest.TestCase):
    """The expectations themselves."""

    def server(self):
        return redis_or_skip(self, "--enable-debug-command", "yes")


if __name__ == "__main__":
    lsmkv_server.main()

"""MULTI, EXEC, DISCARD, WATCH, UNWATCH over the wire: reply for reply what Redis says, and nothing half done for anybody.

The replies that are expected here are Redis's. Where a redis-server is installed (or LSMKV_REDIS names one), the same dialogues are
held with that, so that the expectations themselves are tested.
"""

import os
import random
import threading
import shlex
import unittest

import lsmkv_server
from lsmkv_server import Server, wait_until
from raw_client import RawClient, command
from redis_server import redis_or_skip

OK = b"+OK"
QUEUED = b"+QUEUED"
NIL = None
NOT_ALLOWED = b"-ERR Command not allowed inside a transaction"
PREVIOUS = b"-EXECABORT Transaction discarded because of previous errors."
WRONG_TYPE_OF_NUMBER = b"-ERR value is not an integer or out of range"


def arity(name):
    return b"-ERR wrong number of arguments for '%s' command" % name


class Other:
    """Marks a step that another connection takes."""

    def __init__(self, *words):
        self.words = words




# Name -> steps: what is sent (words, or Other(words)) and the reply.
DIALOGUES = {
    "the plain way": [
        ("MULTI", OK), ("SET a 1", QUEUED), ("INCR a", QUEUED), ("GET a", QUEUED), ("EXEC", [OK, b":2", b"2"]), ("GET a", b"2")],
    "nothing queued": [("MULTI", OK), ("EXEC", [])],
    "discarded": [("SET a 1", OK), ("MULTI", OK), ("SET a 2", QUEUED), ("DISCARD", OK), ("GET a", b"1"), ("EXEC", b"-ERR EXEC without MULTI")],
    "without MULTI": [("EXEC", b"-ERR EXEC without MULTI"), ("DISCARD", b"-ERR DISCARD without MULTI"), ("UNWATCH", OK)],
    "nested, and WATCH inside, are errors that spoil nothing": [
        ("MULTI", OK), ("MULTI", b"-ERR MULTI calls can not be nested"), ("SET a 1", QUEUED),
        ("WATCH a", b"-ERR WATCH inside MULTI is not allowed"), ("EXEC", [OK])],
    "an unknown command spoils it": [
        ("MULTI", OK), ("SET a 1", QUEUED), ("NOSUCH x", b"-ERR unknown command 'NOSUCH', with args beginning with: 'x' "),
        ("SET a 2", QUEUED), ("EXEC", PREVIOUS), ("GET a", NIL), ("EXEC", b"-ERR EXEC without MULTI")],
    "so does a wrong number of arguments": [("MULTI", OK), ("GET", arity(b"get")), ("EXEC", PREVIOUS)],
    "of WATCH too": [("MULTI", OK), ("WATCH", arity(b"watch")), ("EXEC", PREVIOUS)],
    "an unknown subcommand spoils it": [
        ("MULTI", OK), ("CLIENT NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."), ("EXEC", PREVIOUS)],
    "EXEC with words": [
        ("MULTI", OK), ("SET a 1", QUEUED),
        ("EXEC now", b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"),
        ("EXEC", b"-ERR EXEC without MULTI"), ("GET a", NIL)],
    "what is not allowed": [("MULTI", OK), ("SAVE", NOT_ALLOWED), ("EXEC", PREVIOUS), ("MULTI", OK), ("SHUTDOWN", NOT_ALLOWED), ("DISCARD", OK)],
    "an error of one command leaves the others": [
        ("SET a x", OK), ("MULTI", OK), ("SET b 1", QUEUED), ("INCR a", QUEUED), ("SET c 3", QUEUED), ("EXEC", [OK, WRONG_TYPE_OF_NUMBER, OK]),
        ("MGET b c", [b"1", b"3"])],
    "RESET leaves it": [("WATCH a", OK), ("MULTI", OK), ("SET a 1", QUEUED), ("RESET", b"+RESET"), ("EXEC", b"-ERR EXEC without MULTI"), ("GET a", NIL)],
    "commands see those before them": [
        ("MSET a 1 b 2", OK), ("MULTI", OK), ("INCR a", QUEUED), ("INCRBY a 10", QUEUED), ("APPEND a 0", QUEUED), ("RENAME a c", QUEUED),
        ("EXISTS a c", QUEUED), ("GET c", QUEUED), ("DEL b", QUEUED), ("GET b", QUEUED), ("SETNX b 3", QUEUED), ("GETSET b 4", QUEUED), ("MGET a b c", QUEUED),
        ("EXEC", [b":2", b":12", b":3", OK, b":1", b"120", b":1", NIL, b":1", b"3", [NIL, b"4", b"120"]])],
    "and their deadlines": [
        ("MULTI", OK), ("SET a 1 PX 100000", QUEUED), ("PERSIST a", QUEUED), ("TTL a", QUEUED), ("EXPIRE a 100", QUEUED), ("TTL a", QUEUED),
        ("EXPIRE a -1", QUEUED), ("EXISTS a", QUEUED), ("EXEC", [OK, b":1", b":-1", b":1", b":100", b":1", b":0"]), ("EXISTS a", b":0")],
    "a flush, and what comes after it": [
        ("MSET a 1 b 2", OK), ("MULTI", OK), ("SET c 3", QUEUED), ("DBSIZE", QUEUED), ("FLUSHDB", QUEUED), ("DBSIZE", QUEUED), ("GET a", QUEUED),
        ("RANDOMKEY", QUEUED), ("SET d 4", QUEUED), ("KEYS *", QUEUED), ("RANDOMKEY", QUEUED), ("SCAN 0", QUEUED),
        ("EXEC", [OK, b":3", OK, b":0", NIL, NIL, OK, [b"d"], b"d", [b"0", [b"d"]]]), ("DBSIZE", b":1"), ("GET d", b"4")],
    "other databases": [
        ("SET a 0", OK), ("MULTI", OK), ("SELECT 1", QUEUED), ("SET a 1", QUEUED), ("MOVE a 2", QUEUED), ("SELECT 2", QUEUED), ("GET a", QUEUED),
        ("SWAPDB 0 2", QUEUED), ("GET a", QUEUED), ("COPY a b DB 3", QUEUED), ("EXEC", [OK, OK, b":1", OK, b"1", OK, b"0", b":1"]),
        ("GET a", b"0"), ("SELECT 0", OK), ("GET a", b"1"), ("SELECT 3", OK), ("GET b", b"0")],
    "the connection's own commands": [
        ("MULTI", OK), ("CLIENT SETNAME me", QUEUED), ("CLIENT GETNAME", QUEUED), ("PING", QUEUED), ("ECHO x", QUEUED), ("UNWATCH", QUEUED),
        ("EXEC", [OK, b"me", b"+PONG", b"x", OK]), ("CLIENT GETNAME", b"me")],
    "HELLO": [("HELLO 3", ...), ("WATCH a", OK), ("SET a 1", OK), ("MULTI", OK), ("EXEC", b"_"), ("MULTI", OK), ("GET none", QUEUED), ("EXEC", [b"_"])],
    "QUIT": [("MULTI", OK), ("SET a 1", QUEUED), ("QUIT", OK)],

    "a watched key that was changed": [("WATCH a", OK), (Other("SET a 1"), OK), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", NIL), ("GET a", b"1")],
    "only one of them": [("WATCH a b", OK), ("WATCH c", OK), (Other("SET c 1"), OK), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", NIL)],
    "not that key": [("WATCH a", OK), (Other("SET b 1"), OK), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", [OK])],
    "not that database": [("WATCH a", OK), (Other("SELECT 1"), OK), (Other("SET a 1"), OK), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", [OK])],
    "changed after MULTI": [("WATCH a", OK), ("MULTI", OK), ("SET a 2", QUEUED), (Other("SET a 1"), OK), ("EXEC", NIL)],
    "to the value that it had": [("SET a 1", OK), ("WATCH a", OK), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "to and fro": [("WATCH a", OK), (Other("SET a 1"), OK), (Other("DEL a"), b":1"), ("MULTI", OK), ("EXEC", NIL)],
    "by itself": [("WATCH a", OK), ("SET a 1", OK), ("MULTI", OK), ("EXEC", NIL)],
    "by another's EXEC": [
        ("WATCH a", OK), (Other("MULTI"), OK), (Other("SET a 1"), QUEUED), ("MULTI", OK), (Other("EXEC"), [OK]), ("EXEC", NIL)],
    "a deletion of nothing is none": [("WATCH a", OK), (Other("DEL a"), b":0"), ("MULTI", OK), ("EXEC", [])],
    "a read is none": [("SET a 1", OK), ("WATCH a", OK), (Other("GET a"), b"1"), ("MULTI", OK), ("EXEC", [])],
    "a deadline is one": [("SET a 1", OK), ("WATCH a", OK), (Other("EXPIRE a 1000"), b":1"), ("MULTI", OK), ("EXEC", NIL)],
    "renamed away": [("SET a 1", OK), ("WATCH a", OK), (Other("RENAME a b"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "moved in": [("WATCH a", OK), (Other("SELECT 1"), OK), (Other("SET a 1"), OK), (Other("MOVE a 0"), b":1"), ("MULTI", OK), ("EXEC", NIL)],
    "unwatched": [("WATCH a", OK), (Other("SET a 1"), OK), ("UNWATCH", OK), ("MULTI", OK), ("EXEC", [])],
    "EXEC forgets": [("WATCH a", OK), ("MULTI", OK), ("EXEC", []), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", [])],
    "a failed EXEC forgets": [("WATCH a", OK), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", NIL), ("MULTI", OK), ("EXEC", [])],
    "DISCARD forgets": [("WATCH a", OK), ("MULTI", OK), ("DISCARD", OK), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", [])],
    "RESET forgets": [("WATCH a", OK), ("RESET", b"+RESET"), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", [])],
    "an error while queueing comes before a change": [("WATCH a", OK), (Other("SET a 1"), OK), ("MULTI", OK), ("GET", arity(b"get")), ("EXEC", PREVIOUS)],
    "FLUSHDB of a key that was there": [("SET a 1", OK), ("WATCH a", OK), (Other("FLUSHDB"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "FLUSHALL of a key that was there": [("SET a 1", OK), ("WATCH a", OK), (Other("FLUSHALL"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "FLUSHALL of one that was not": [("WATCH a", OK), (Other("SET b 1"), OK), (Other("FLUSHALL"), OK), ("MULTI", OK), ("EXEC", [])],
    "FLUSHDB of another database": [
        ("SET a 1", OK), ("WATCH a", OK), (Other("SELECT 1"), OK), (Other("FLUSHDB"), OK), ("MULTI", OK), ("EXEC", [])],
    "SWAPDB that takes it away": [("SET a 1", OK), ("WATCH a", OK), (Other("SWAPDB 0 1"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "SWAPDB that brings it": [
        ("SELECT 1", OK), ("SET a 1", OK), ("SELECT 0", OK), ("WATCH a", OK), (Other("SWAPDB 0 1"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "SWAPDB with it on neither side": [("WATCH a", OK), ("SELECT 1", OK), (Other("SET b 1"), OK), (Other("SWAPDB 0 1"), OK), ("MULTI", OK), ("EXEC", [])],
    "SWAPDB that brings one that has expired": [
        ("SET a 1 PX 1", OK), ("EXPIRED a", ...), ("SELECT 1", OK), ("WATCH a", OK), (Other("SWAPDB 0 1"), OK), ("MULTI", OK), ("EXEC", [])],
    "a deadline that it has already": [("SET a 1 PXAT 4102444800000", OK), ("WATCH a", OK), (Other("GETEX a PXAT 4102444800000"), b"1"), ("MULTI", OK), ("EXEC", NIL)],
    "PERSIST of what has no deadline": [("SET a 1", OK), ("WATCH a", OK), (Other("GETEX a PERSIST"), b"1"), ("MULTI", OK), ("EXEC", [])],
    "nothing appended": [("SET a 1", OK), ("WATCH a", OK), (Other("APPEND a ''"), b":1"), ("MULTI", OK), ("EXEC", NIL)],
    "a change after SWAPDB": [("WATCH a", OK), (Other("SWAPDB 0 1"), OK), (Other("SET a 1"), OK), ("MULTI", OK), ("EXEC", NIL)],
    "a flush in another's EXEC": [
        ("SET a 1", OK), ("WATCH a", OK), (Other("MULTI"), OK), (Other("FLUSHALL"), QUEUED), (Other("EXEC"), [OK]), ("MULTI", OK), ("EXEC", NIL)],
    "expired when it was watched": [
        ("SET a 1 PX 1", OK), ("EXPIRED a", ...), ("WATCH a", OK), (Other("GET a"), NIL), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", [OK])],
    "expired since": [("SET a 1 PX 100", OK), ("WATCH a", OK), ("EXPIRED a", ...), ("MULTI", OK), ("SET a 2", QUEUED), ("EXEC", NIL)],
    "CLIENT LIST": [
        ("CLIENT INFO", {"multi": b"-1", "flags": b"N"}), ("WATCH a", OK), ("MULTI", OK), (Other("SET a 1"), OK),
        ("SET a 1", QUEUED), (Other("CLIENT LIST"), {"flags": b"xd"}), ("DISCARD", OK), ("MULTI", OK), ("GET a", QUEUED), ("GET a", QUEUED),
        (Other("CLIENT LIST"), {"multi": b"2", "flags": b"x"}), ("EXEC", [b"1", b"1"]), ("CLIENT INFO", {"multi": b"-1"})],
}


def hold(server, steps):
    """Says what went wrong first; None: nothing."""
    with RawClient(server) as one, RawClient(server) as other:
        own_id = one.ask("CLIENT", "ID")[1:]
        other.ask("FLUSHALL")
        for words, expected in steps:
            client, words = (other, words.words[0]) if isinstance(words, Other) else (one, words)
            if words.startswith("EXPIRED "):
                # Not by EXISTS on a connection that counts: by the key's own clock.
                with RawClient(server) as third:
                    wait_until(lambda: third.ask("EXISTS", words.split()[1]) == b":0", "the key expires")
                continue
            reply = client.ask(*shlex.split(words))
            if isinstance(expected, dict):
                line = next(l for l in reply.splitlines() if b"id=" + own_id + b" " in l)
                reply = dict(word.split(b"=", 1) for word in line.split())
                expected = {name.encode(): value for name, value in expected.items()}
                reply = {name: reply[name] for name in expected}
            if expected is not ... and reply != expected:
                return f"{words}: {reply!r} instead of {expected!r}"
    return None


class Replies(unittest.TestCase):
    def _hold_all(self, server):
        for name, steps in DIALOGUES.items():
            with self.subTest(name):
                self.assertIsNone(hold(server, steps))

    def test_every_reply_is_redis_s(self):
        with Server() as server:
            self._hold_all(server)

    def test_the_expectations_are_redis_s(self):
        with redis_or_skip(self) as server:
            self._hold_all(server)

    def test_what_only_this_server_refuses(self):
        with Server() as server, RawClient(server) as client:
            for words in ("LSM COMPACT", "LSM FLUSH", "LSM RELOAD", "LSM SCRUB", "LSM INGEST /nowhere", "DEBUG SLEEP 0", "CLIENT REPLY OFF"):
                self.assertEqual(client.ask("MULTI"), OK)
                self.assertEqual(client.ask(*words.split()), NOT_ALLOWED, words)
                self.assertEqual(client.ask("EXEC"), PREVIOUS)

    def test_pools_and_loops_give_the_same_replies(self):
        """INFO, KEYS and CONFIG SET take their EXEC off the loop; what they do is done once, and in order with what is pipelined."""
        with Server() as server, RawClient(server) as client:
            for words in ("INFO", "KEYS none", "CONFIG SET timeout 100", "CLIENT INFO", "CONFIG GET timeout", "BGSAVE", "LASTSAVE", "CLIENT LIST"):
                client.send(command("SET", "a", "1") + command("MULTI") + command("INCR", "a") + command(*words.split()) + command("SELECT", "1") +
                            command("INCR", "b") + command("EXEC") + command("GET", "b") + command("SELECT", "0") + command("GET", "a"))
                replies = [client.reply() for _ in range(10)]
                self.assertEqual(replies[:6], [OK, OK] + [QUEUED] * 4, words)
                self.assertEqual([replies[6][0], replies[6][2]], [b":2", OK], words)
                self.assertFalse(bytes(replies[6][1][:1]) == b"-" if isinstance(replies[6][1], bytes) else False, words)
                self.assertEqual(replies[6][3][1:], replies[7], words)
                self.assertEqual(replies[8:], [OK, b"2"], words)
            self.assertEqual(client.ask("SELECT", "1"), OK)
            self.assertEqual(client.ask("GET", "b"), b"8")

    def test_info_counts_each_command_once(self):
        with Server() as server, RawClient(server) as client:
            def stats():
                text = client.ask("INFO", "everything").decode()
                return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            client.ask("CONFIG", "RESETSTAT")
            before = int(stats()["total_commands_processed"])
            client.ask("MULTI")
            client.ask("SET", "a", "x")
            client.ask("INCR", "a")
            client.ask("EXEC")
            after = stats()
            self.assertEqual(int(after["total_commands_processed"]) - before, 1 + 4)   # INFO itself, MULTI, SET, INCR, EXEC
            self.assertTrue(after["cmdstat_set"].startswith("calls=1,"))
            self.assertIn("rejected_calls=0,failed_calls=1", after["cmdstat_incr"])
            self.assertTrue(after["cmdstat_exec"].startswith("calls=1,"))
            self.assertEqual(after["errorstat_ERR"], "count=1")
            client.ask("MULTI")
            client.ask("GET")
            client.ask("EXEC")
            after = stats()
            self.assertIn("calls=0", after["cmdstat_get"])
            self.assertIn("rejected_calls=1", after["cmdstat_get"])
            self.assertEqual(after["errorstat_EXECABORT"], "count=1")


class Limits(unittest.TestCase):
    def test_what_is_queued_counts(self):
        with Server(directives=["--client-query-buffer-limit", "2mb"]) as server, RawClient(server) as one, RawClient(server) as other:
            one.ask("MULTI")
            def memory():
                lines = other.ask("CLIENT", "LIST").splitlines()
                fields = [dict(word.split(b"=", 1) for word in line.split()) for line in lines]
                return next((int(f[b"multi-mem"]), int(f[b"tot-mem"])) for f in fields if f[b"multi"] != b"-1")
            before = memory()
            self.assertEqual(one.ask("SET", "a", b"x" * 500_000), QUEUED)
            after = memory()
            self.assertGreaterEqual(after[0] - before[0], 500_000)
            self.assertGreaterEqual(after[1] - before[1], 500_000)
            try:
                for _ in range(5):
                    one.ask("SET", "a", b"x" * 500_000)
                self.fail("the limit was passed")
            except (EOFError, ConnectionError):
                pass
            self.assertEqual(other.ask("GET", "a"), NIL)

    def test_what_all_clients_may_hold_bounds_what_they_queue(self):
        with Server(directives=["--memory-budget", "64mb", "--maxmemory-clients", "4mb"]) as server, RawClient(server) as other:
            with RawClient(server) as one:
                one.ask("MULTI")
                replies = []
                while replies[-1:] != [b"-OOM command not allowed when the clients use more memory than 'maxmemory-clients'"]:
                    replies.append(one.ask("SET", "a", b"x" * 100_000))
                    self.assertLess(len(replies), 60)
                self.assertGreater(len(replies), 15)
                self.assertEqual(set(replies[:-1]), {QUEUED})
                self.assertEqual(one.ask("EXEC"), PREVIOUS)
                self.assertEqual(one.ask("SET", "a", b"x" * 100_000), OK)
            self.assertEqual(other.ask("STRLEN", "a"), b":100000")

    def test_replies_without_a_bound_of_their_own_have_one_together(self):
        with Server(directives=["--memory-budget", "64mb", "--maxmemory-clients", "8mb"]) as server, RawClient(server) as client:
            for count, refused in ((3, False), (300, True)):
                client.ask("MULTI")
                client.ask("SET", "a", str(count))
                for _ in range(count):
                    self.assertEqual(client.ask("COMMAND", "DOCS"), QUEUED)
                reply = client.ask("EXEC")
                if refused:
                    self.assertRegex(reply, b"^-EXECABORT .*maxmemory-clients")
                else:
                    self.assertEqual(len(reply), count + 1)
            self.assertEqual(client.ask("GET", "a"), b"3")

    def test_large_arguments_are_kept_and_given_back(self):
        with Server() as server, RawClient(server) as client:
            for end in ("EXEC", "DISCARD", "EXEC"):
                client.ask("MULTI")
                for i in range(6):
                    self.assertEqual(client.ask("SET", f"large:{i}", b"%d" % i * 3_000_000), QUEUED)
                client.ask("STRLEN", "large:3")
                self.assertEqual(client.ask(end), OK if end == "DISCARD" else [OK] * 6 + [b":3000000"])
            for i in range(6):
                self.assertEqual(client.ask("GET", f"large:{i}"), b"%d" % i * 3_000_000)
            info = dict(word.split(b"=", 1) for word in client.ask("CLIENT", "INFO").split())
            self.assertEqual(info[b"multi-mem"], b"0")

    def test_a_paused_server_holds_exec(self):
        with Server() as server, RawClient(server) as one, RawClient(server) as other:
            one.ask("MULTI")
            one.ask("SET", "a", "1")
            self.assertEqual(other.ask("CLIENT", "PAUSE", "100000", "WRITE"), OK)
            one.send(command("EXEC"))
            wait_until(lambda: b"blocked_clients:1" in other.ask("INFO", "clients"), "EXEC waits")
            self.assertEqual(other.ask("GET", "a"), NIL)
            self.assertEqual(other.ask("CLIENT", "UNPAUSE"), OK)
            self.assertEqual(one.reply(), [OK])


ACCOUNTS = 20
MONEY = 1000


class Transfers(threading.Thread):
    """Moves money between accounts, by WATCH or without."""

    def __init__(self, server, seed, stop):
        super().__init__(daemon=True)
        self._random = random.Random(seed)
        self._client = RawClient(server)
        self._end = stop
        self.done = 0
        self.failed = 0
        self.wrong = None

    def run(self):
        r = self._random
        while not self._end.is_set() and self.wrong is None:
            source, target = r.sample(range(ACCOUNTS), 2)
            amount = r.randrange(1, 50)
            (self._watched if r.random() < 0.5 else self._plain)(f"account:{source}", f"account:{target}", amount)
        self._client.close()

    def _plain(self, source, target, amount):
        self._client.send(command("MULTI") + command("DECRBY", source, amount) + command("INCRBY", target, amount) + command("EXEC"))
        replies = [self._client.reply() for _ in range(4)]
        if not isinstance(replies[3], list):
            self.wrong = replies
        self.done += 1

    def _watched(self, source, target, amount):
        c = self._client
        c.ask("WATCH", source, target)
        have, there = (int(v) for v in c.ask("MGET", source, target))
        c.send(command("MULTI") + command("SET", source, have - amount) + command("SET", target, there + amount) + command("EXEC"))
        replies = [c.reply() for _ in range(4)]
        if replies[3] is None:
            self.failed += 1
        elif replies[3] != [OK, OK]:
            self.wrong = replies
        else:
            self.done += 1


class Readers(threading.Thread):
    """Nobody's sum may ever differ: read at once, or in a transaction."""

    def __init__(self, server, how, stop):
        super().__init__(daemon=True)
        self._client = RawClient(server)
        self._how = how
        self._end = stop
        self.done = 0
        self.wrong = None

    def run(self):
        names = [f"account:{i}" for i in range(ACCOUNTS)]
        while not self._end.is_set() and self.wrong is None:
            if self._how == "mget":
                values = self._client.ask("MGET", *names)
            else:
                self._client.send(command("MULTI") + b"".join(command("GET", name) for name in names) +
                                  (command("KEYS", "none") if self._how == "everything" else b"") + command("EXEC"))
                for _ in range(1 + ACCOUNTS + (self._how == "everything")):
                    self._client.reply()
                values = self._client.reply()[:ACCOUNTS]
            total = sum(int(v) for v in values)
            if total != ACCOUNTS * MONEY:
                self.wrong = f"{self._how}: {total}"
            self.done += 1
        self._client.close()


class Isolation(unittest.TestCase):
    def test_the_sum_of_all_accounts_is_never_seen_to_change(self):
        seed = int(os.environ.get("LSMKV_SEED") or random.SystemRandom().randrange(1 << 32))
        enough = 20_000 if "LSMKV_LONG_TESTS" in os.environ else 1500
        # A block cache that holds nothing: many a read leaves the loop.
        with Server(directives=["--io-threads", "3", "--memtable-size", "500", "--block-cache-mb", "1"]) as server, RawClient(server) as client:
            client.ask("MSET", *(word for i in range(ACCOUNTS) for word in (f"account:{i}", MONEY)))
            stop = threading.Event()
            writers = [Transfers(server, f"{seed}/{i}", stop) for i in range(5)]
            readers = [Readers(server, how, stop) for how in ("mget", "multi", "everything")]
            for thread in writers + readers:
                thread.start()
            wait_until(lambda: sum(w.done for w in writers) > enough and all(r.done > enough / 30 for r in readers) or
                       any(t.wrong for t in writers + readers) or not all(t.is_alive() for t in writers + readers), "enough was moved")
            stop.set()
            for thread in writers + readers:
                thread.join()
            self.assertEqual([t.wrong for t in writers + readers if t.wrong], [], f"seed {seed}")
            self.assertGreater(sum(w.done for w in writers), enough, f"seed {seed}")
            self.assertGreater(sum(w.failed for w in writers), 0, "no WATCH has ever stopped anybody")
            values = client.ask("MGET", *(f"account:{i}" for i in range(ACCOUNTS)))
            self.assertEqual(sum(int(v) for v in values), ACCOUNTS * MONEY)


if __name__ == "__main__":
    lsmkv_server.main()

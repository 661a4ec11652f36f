"""The real server, killed with SIGKILL at random moments under load, again and again, in one directory: nothing that was answered is
lost, nothing else is there, and lsmkv-tool finds no damage. SIGTERM under the same load; and starts in odd places.

    LSMKV_SEED=N torture_test.py Torture     replays the plan of a run: its commands, limits and moments of death
    LSMKV_ROUNDS=N                           how many deaths; 5 by default, 100 with LSMKV_LONG_TESTS=1
"""

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import lsmkv_server
from lsmkv_server import Server, free_port, wait_until
from raw_client import RawClient, command
from torture_model import OTHER, Plan, State, now_ms

CONNECTIONS = 8
DATABASES = 32
FIRST_OTHER = 16           # the other databases of the connections
SHARED_DATABASE = 15
TWIN_DATABASES = (13, 14)
LONG = "LSMKV_LONG_TESTS" in os.environ
ROUNDS = int(os.environ.get("LSMKV_ROUNDS") or (100 if LONG else 5))


def seed_of_run():
    return int(os.environ.get("LSMKV_SEED") or random.SystemRandom().randrange(1 << 32))


def limits(r):
    """So small that a round flushes tens of times and compacts into several levels; never the same twice."""
    return ["--databases", str(DATABASES), "--memtable-size", str(r.choice((300, 1000, 3000))), "--memtable-size-mb", "1", "--max-memory-mb", "8",
            "--base-level-size-mb", "1", "--base-level-entries", str(r.choice((500, 1500))), "--level-ratio", str(r.choice((2, 3, 10))),
            "--max-l0-sstables", str(r.choice((1, 2, 4))), "--l0-slowdown-sstables", "8", "--l0-stop-sstables", "12",
            "--max-sstable-size-mb", str(r.choice((0, 1, 2))), "--min-blob-size", r.choice(("0", "1kb", "16kb")),
            "--compression", r.choice(("none", "lz4", "zstd")), "--compaction-workers", str(r.choice((1, 3))),
            "--io-threads", str(r.choice((1, 2, 4))), "--block-cache-mb", "1", "--max-open-sstables", "20"]


class Connection(threading.Thread):
    """Sends its plan's commands in pipelines into databases of its own; knows what was answered and what was not."""

    def __init__(self, server, database, state, plan, seed):
        super().__init__(daemon=True)
        self.database = database
        self.state = state
        self.answered = 0
        self.pending = []
        self.wrong = None
        self._plan = plan
        self._random = random.Random(seed)
        self._client = RawClient(server)
        if self._client.ask("SELECT", database) != b"+OK":
            raise AssertionError("no such database")

    def run(self):
        try:
            while self.wrong is None:
                self.pending = [self._plan.next() for _ in range(self._random.choice((1, 1, 4, 20)))]
                self._client.send(b"".join(c.sent() for c in self.pending))
                while self.pending:
                    self._take(self.pending[0].reply(self._client))
        except (EOFError, OSError):
            pass
        finally:
            self._client.close()

    def _take(self, reply):
        done = self.pending.pop(0)
        expected = done.apply(self.state)
        self.answered += 1
        near = isinstance(done.words[1:2] and done.words[1], bytes) and done.words[1].startswith(b"e:")
        if reply != expected and not near and self.wrong is None:
            self.wrong = f"db {self.database}: {done.words[:3]}: {reply!r:.200} instead of {expected!r:.200}"

    def settle(self, client):
        """After a death: takes over what of the unanswered commands took effect. Returns how many did."""
        before = now_ms()
        seen = read_database(client, self.database)
        seen |= {OTHER + key: entry for key, entry in read_database(client, FIRST_OTHER + self.database).items()}
        after = now_ms()
        first = None
        for taken in range(len(self.pending) + 1):
            difference = self.state.difference(seen, before, after)
            if difference is None:
                self.pending = []
                return taken
            first = first or difference
            if taken < len(self.pending):
                self.pending[taken].apply(self.state)
        raise AssertionError(f"db {self.database}, after {self.answered} answers and with {len(self.pending)} unanswered: {first}; "
                             f"with all of these: {difference}")


def read_database(client, database):
    client.ask("SELECT", database)
    keys = client.ask("KEYS", "*")
    seen = {}
    for begin in range(0, len(keys), 200):
        part = keys[begin:begin + 200]
        client.send(command("MGET", *part) + b"".join(command("PEXPIRETIME", k) for k in part))
        values = client.reply()
        for key, value in zip(part, values):
            deadline = int(client.reply()[1:])
            if value is not None and deadline != -2:
                seen[key] = (value, None if deadline == -1 else deadline)
    return seen


class Asker(threading.Thread):
    """Asks until the server is gone; `answered` and `unanswered` count what it has asked for."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self._client = RawClient(server)
        self.answered = 0
        self.unanswered = 0

    def run(self):
        try:
            while True:
                self.ask()
        except (EOFError, OSError):
            pass
        finally:
            self._client.close()


class Counter(Asker):
    """Increments a key that others increment too."""

    def __init__(self, server):
        super().__init__(server)
        self._client.ask("SELECT", SHARED_DATABASE)

    def ask(self):
        self.unanswered = 10
        self._client.send(command("INCR", "shared") * 10)
        for _ in range(10):
            self._client.reply()
            self.answered += 1
            self.unanswered -= 1


class Twins(Asker):
    """Increments two keys, in two databases, that others increment too: never one of them alone."""

    def ask(self):
        select = [command("SELECT", database) for database in TWIN_DATABASES]
        self.unanswered = 5
        self._client.send((command("MULTI") + b"".join(s + command("INCR", "twin") for s in select) + command("EXEC")) * 5)
        for _ in range(5):
            for _ in range(6):
                self._client.reply()
            self.answered += 1
            self.unanswered -= 1


class Upkeep(threading.Thread):
    """What an operator does beside it all."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self._random = random.Random(seed)
        self._client = RawClient(server)

    def run(self):
        try:
            self._client.ask("BGSAVE")             # in every round
            while True:
                words = self._random.choice((["LSM", "FLUSH"], ["LSM", "COMPACT"], ["BGSAVE"], ["LSM", "RELOAD"], ["LSM", "SCRUB"], ["DBSIZE"], ["INFO"],
                                             ["CONFIG", "SET", "maxclients", str(self._random.randrange(100, 10_000))]))
                self._client.ask(*words)
        except (EOFError, OSError):
            pass
        finally:
            self._client.close()


def lsm_info(client):
    text = client.ask("INFO", "lsm").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Run:
    """One directory through many deaths."""

    def __init__(self, seed, server):
        self.seed = seed
        self.server = server
        self.states = [State() for _ in range(CONNECTIONS)]
        self.shared = 0
        self.twin = 0
        self.levels = 0
        self.compactions = 0
        self.answered = 0
        self.unanswered_taken = 0
        self.checkpoints = 0

    def round(self, number, end):
        """Starts, checks what is there, loads, and calls end(server, random) in the middle of it all."""
        r = random.Random(f"{self.seed}/{number}")
        mode = ("everysec", "always", "no")[number % 3]
        self.server.set_directives(["--wal-fsync", mode, *limits(r)])
        self.server.start()
        workers = [Connection(self.server, i, state, Plan(f"{self.seed}/{number}/{i}", i, FIRST_OTHER + i), f"{self.seed}/{number}/{i}/pipeline")
                   for i, state in enumerate(self.states)]
        counters = [Counter(self.server), Counter(self.server)]
        twins = [Twins(self.server), Twins(self.server)]
        threads = [*workers, *counters, *twins, Upkeep(self.server, f"{self.seed}/{number}/upkeep")]
        for thread in threads:
            thread.start()
        enough = r.randrange(500, 8000 if mode != "always" else 3000)
        wait_until(lambda: sum(w.answered for w in workers) > enough or any(w.wrong for w in workers), "the load runs")
        self._watch(r)
        end(self.server, r)
        for thread in threads:
            thread.join()
        wrong = [w.wrong for w in workers if w.wrong]
        if wrong:
            raise AssertionError(f"wrong replies: {wrong}")
        self._tool_finds_nothing()
        self._settle(workers, counters, twins, r)

    def _watch(self, r):
        """Death comes in the middle of a flush, of a compaction, or anywhere."""
        what = r.choice(("flush", "compaction", "anywhere"))
        with RawClient(self.server) as client:
            info = lsm_info(client)
            begin = time.monotonic()
            while what != "anywhere" and time.monotonic() - begin < 1:
                now = lsm_info(client)
                if what == "compaction" and int(now["compactions_running"]) > 0:
                    break
                if what == "flush" and int(now["immutable_memtables"]) > 0:
                    break
                info = now
            self.levels = max(self.levels, int(info["num_levels"]))
            self.compactions += int(info["compactions"])

    def _settle(self, workers, counters, twins, r):
        if r.random() < 0.3:               # and once more, while it recovers
            self.server.start_and_kill(r.random() * 0.05)
        self.server.start()
        with RawClient(self.server) as client:
            for worker in workers:
                self.unanswered_taken += worker.settle(client)
                self.answered += worker.answered
            client.ask("SELECT", SHARED_DATABASE)
            value = int(client.ask("GET", "shared") or 0)
            least = self.shared + sum(c.answered for c in counters)
            most = least + sum(c.unanswered for c in counters)
            if not least <= value <= most:
                raise AssertionError(f"the shared counter is {value}, between {least} and {most} was counted")
            self.shared = value
            self._settle_twins(client, twins)
        self.server.kill()

    def _settle_twins(self, client, twins):
        values = []
        for database in TWIN_DATABASES:
            client.ask("SELECT", database)
            values.append(int(client.ask("GET", "twin") or 0))
        least = self.twin + sum(t.answered for t in twins)
        most = least + sum(t.unanswered for t in twins)
        if values[0] != values[1] or not least <= values[0] <= most:
            raise AssertionError(f"the twins are {values}, between {least} and {most} transactions were done")
        self.twin = values[0]

    def _tool_finds_nothing(self):
        tool = os.environ.get("LSMKV_TOOL") or os.path.join(os.path.dirname(lsmkv_server.binary()), "lsmkv-tool")
        data = os.path.join(self.server.directory, "data")
        for directory in [data, *self._newest_checkpoint(data)]:
            done = subprocess.run([tool, "check", directory], capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise AssertionError(f"lsmkv-tool check {directory} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def _newest_checkpoint(self, data):
        """It, or nothing where none was finished."""
        checkpoints = os.path.join(data, "checkpoints")
        names = sorted(name for name in os.listdir(checkpoints) if name.endswith("Z")) if os.path.isdir(checkpoints) else []
        self.checkpoints += bool(names)
        return [os.path.join(checkpoints, name) for name in names[-1:]]


class TorturedServer(Server):
    def start_and_kill(self, seconds):
        """Killed before it answers, after so long or when it does answer."""
        self._launch()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._answers():
            pass
        self.kill()


class Torture(unittest.TestCase):
    def _run(self, seed, rounds, end):
        replay = f"LSMKV_SEED={seed} LSMKV_ROUNDS={rounds} {sys.executable} {os.path.abspath(__file__)} {self.id().split('.', 1)[1]}"
        print(f"seed {seed}, {rounds} rounds; to replay: {replay}", file=sys.stderr, flush=True)
        server = TorturedServer()
        run = Run(seed, server)
        number = 0
        try:
            for number in range(rounds):
                run.round(number, end)
        except BaseException:
            print(f"round {number} of seed {seed} failed; the directory is kept: {server.directory}\n{server.log_text()[-3000:]}",
                  file=sys.stderr, flush=True)
            server.kill()
            raise
        server.kill()
        server.remove()
        print(f"{rounds} rounds, {run.answered} commands answered, {run.unanswered_taken} unanswered ones found done, "
              f"{run.compactions} compactions, {run.levels} levels, {run.checkpoints} checkpoints", file=sys.stderr, flush=True)
        self.assertGreaterEqual(run.levels, 2)
        self.assertGreater(run.compactions, 0)
        if rounds >= 5:                            # of a few each may have died before its own was finished
            self.assertGreater(run.checkpoints, 0)

    def test_what_was_answered_survives_kill_9(self):
        self._run(seed_of_run(), ROUNDS, lambda server, r: server.kill())

    def test_what_was_answered_survives_sigterm(self):
        self._run(seed_of_run(), max(2, ROUNDS // 5), lambda server, r: server.stop())


class OddPlaces(unittest.TestCase):
    def _refused(self, directory, *words):
        done = subprocess.run([lsmkv_server.binary(), "--port", str(free_port()), "--bind", "127.0.0.1", "--dir", directory],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_lock_file_that_a_dead_server_left_is_no_lock(self):
        with Server() as server:
            server.client().set("a", "1")
            server.kill()
            lock = os.path.join(server.directory, "data", "LOCK")
            self.assertTrue(os.path.exists(lock))
            for text in ("", "1\n", str(os.getpid()) + "\n", "not a number" * 1000):
                with open(lock, "w", encoding="utf-8") as file:
                    file.write(text)
                server.start()
                self.assertEqual(server.client().get("a"), b"1")
                server.kill()

    def test_a_second_server_is_refused_and_harms_nothing(self):
        with Server() as server:
            client = server.client()
            client.set("a", "1")
            for _ in range(5):
                self._refused(server.directory + "/data", server.directory + "/data", "lock")
            client.set("b", "2")
            server.kill()
            server.start()
            self.assertEqual(server.client().mget("a", "b"), [b"1", b"2"])

    def test_a_read_only_directory_is_refused_by_name(self):
        with Server() as server:
            server.client().set("a", "1")
            server.stop()
            with tempfile.TemporaryDirectory(prefix="lsmkv-read-only-") as place:
                mounts = [["mount", "--bind", server.directory, place], ["mount", "-o", "remount,bind,ro", place]]
                if os.geteuid() != 0 or subprocess.run(mounts[0], capture_output=True, check=False).returncode != 0:
                    self.skipTest("nothing can be mounted here")
                try:
                    if subprocess.run(mounts[1], capture_output=True, check=False).returncode != 0:
                        self.skipTest("nothing can be mounted read-only here")
                    self._refused(place + "/data", place + "/data", "ead-only")
                    self._refused(place + "/new", place + "/new", "ead-only")
                finally:
                    subprocess.run(["umount", place], check=True)
            server.start()
            self.assertEqual(server.client().get("a"), b"1")

    def test_a_file_in_the_directorys_place_is_refused_by_name(self):
        with tempfile.NamedTemporaryFile(prefix="lsmkv-file-") as file:
            self._refused(file.name, file.name)


if __name__ == "__main__":
    lsmkv_server.main()

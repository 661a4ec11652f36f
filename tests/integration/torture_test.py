"""The real server, killed with SIGKILL at random moments under load, again and again, in one directory: nothing that was answered is
lost, nothing else is there, and lsmkv-tool finds no damage. SIGTERM under the same load; and starts in odd places.

    LSMKV_SEED=N torture_test.py Torture     replays the plan of a run: its commands, limits and moments of death
    LSMKV_ROUNDS=N                           how many deaths; 5 by default, 100 with LSMKV_LONG_TESTS=1
"""

import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

import lsmkv_server
from lsmkv_server import Server, free_port, wait_until
from raw_client import RawClient
from torture_load import DATABASES, FIRST_OTHER, SHARED_DATABASE, TWIN_DATABASES, Connection, Counter, Twins, Upkeep
from torture_model import OTHER, Command, Ingest, State, WrongState, flush, set_, swap, took_effect
from torture_moments import Bundles, FlushAll, Moments
from torture_plan import Plan

CONNECTIONS = 8
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
        self.counters = []
        self.twins = []
        self.happened = collections.Counter()      # what changed whole databases
        self.died_in = collections.Counter()       # the same, without an answer
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
        bundles = os.path.join(self.server.directory, "bundles")
        ingests = Bundles(bundles, f"{self.seed}/{number}/bundles")
        moments = Moments(self, CONNECTIONS + 4, number, f"{self.seed}/{number}/moments")
        workers = [Connection(self.server, i, state, Plan(f"{self.seed}/{number}/{i}", i, FIRST_OTHER + i, ingests.of(i)), moments,
                              f"{self.seed}/{number}/{i}/pipeline")
                   for i, state in enumerate(self.states)]
        self.counters = [Counter(self.server, moments), Counter(self.server, moments)]
        self.twins = [Twins(self.server, moments), Twins(self.server, moments)]
        threads = [*workers, *self.counters, *self.twins, Upkeep(self.server, f"{self.seed}/{number}/upkeep")]
        for thread in threads:
            thread.start()
        enough = r.randrange(500, 8000 if mode != "always" else 3000)
        self._wait_for(enough / 2, workers, moments)
        moments.call()                         # so each round has one
        self._wait_for(enough, workers, moments)
        self._watch(r, workers, moments)
        end(self.server, r)
        for thread in threads:
            thread.join()
        moments.close()
        wrong = [w.wrong for w in [*workers, moments] if w.wrong]
        if wrong:
            raise AssertionError(f"wrong replies: {wrong}")
        self.happened.update(verb for w in [*workers, moments] for verb in w.happened)
        self.died_in.update([w.pending[0].words[0] for w in workers if w.asks_for_whole_database()])
        self.died_in.update([moments.in_flight.words[0] + " of all"] if moments.in_flight else [])
        shutil.rmtree(bundles)
        self._tool_finds_nothing()
        self._start_again(r)
        self._settle_with(workers, moments.in_flight)

    def _wait_for(self, enough, workers, moments):
        wait_until(lambda: (sum(w.answered for w in workers) > enough and not moments.called) or moments.wrong or any(w.wrong for w in workers),
                   "the load runs")

    def _watch(self, r, workers, moments):
        """Death comes in the middle of a flush, of a compaction, of what concerns whole databases, or anywhere."""
        what = r.choice(("flush", "compaction", "anywhere", "database", "moment"))
        if what == "moment":
            moments.call()
        with RawClient(self.server) as client:
            info = lsm_info(client)
            begin = time.monotonic()
            while what != "anywhere" and time.monotonic() - begin < 1:
                now = lsm_info(client)
                if what == "compaction" and int(now["compactions_running"]) > 0:
                    break
                if what == "flush" and int(now["immutable_memtables"]) > 0:
                    break
                if what == "database" and any(w.asks_for_whole_database() for w in workers):
                    break
                if what == "moment" and moments.in_flight is not None:
                    break
                info = now
            self.levels = max(self.levels, int(info["num_levels"]))
            self.compactions += int(info["compactions"])

    def flushed_all(self, shared):
        self.shared = shared
        self.twin = 0
        for asker in [*self.counters, *self.twins]:
            asker.answered = 0

    def _start_again(self, r):
        if r.random() < 0.3:               # and once more, while it recovers
            self.server.start_and_kill(r.random() * 0.05)
        self.server.start()

    def _settle_with(self, workers, moment):
        """`moment`: what concerns all, and was unanswered; None: nothing."""
        try:
            self._settle(workers)
        except WrongState as without:
            if moment is None:
                raise
            moment.apply(self)
            try:
                self._settle(workers)
            except WrongState as wrong:
                raise WrongState(f"{moment.words} was unanswered. Without it: {without}. With it: {wrong}") from None
            self.unanswered_taken += 1
        self.server.kill()

    def _settle(self, workers):
        with RawClient(self.server) as client:
            for worker in workers:
                worker.taken = worker.settle(client)
            shared = self._settled("the shared counter", self.counters, self.shared, [self._number(client, SHARED_DATABASE, "shared")])
            self.twin = self._settled("the twins", self.twins, self.twin, [self._number(client, database, "twin") for database in TWIN_DATABASES])
            self.shared = shared
        self.unanswered_taken += sum(worker.taken for worker in workers)
        self.answered += sum(worker.answered for worker in workers)

    def _number(self, client, database, key):
        client.ask("SELECT", database)
        return int(client.ask("GET", key) or 0)

    def _settled(self, what, askers, before, values):
        """The values must be the same, and between what was answered and what was asked for."""
        least = before + sum(a.answered for a in askers)
        most = least + sum(a.unanswered for a in askers)
        if len(set(values)) != 1 or not least <= values[0] <= most:
            raise WrongState(f"{what}: {values}, between {least} and {most} was counted")
        return values[0]

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
              f"{run.compactions} compactions, {run.levels} levels, {run.checkpoints} checkpoints, "
              f"whole databases: {dict(run.happened)}, unanswered {dict(run.died_in)}", file=sys.stderr, flush=True)
        self.assertGreaterEqual(run.levels, 2)
        self.assertGreater(run.compactions, 0)
        if rounds >= 5:                            # of a few each may have died before its own was finished
            self.assertGreater(run.checkpoints, 0)
            self.assertEqual(set(run.happened), {"FLUSHDB", "SWAPDB", "LSM", "FLUSHALL", "SWAPDB across"})

    def test_what_was_answered_survives_kill_9(self):
        self._run(seed_of_run(), ROUNDS, lambda server, r: server.kill())

    def test_what_was_answered_survives_sigterm(self):
        self._run(seed_of_run(), max(2, ROUNDS // 5), lambda server, r: server.stop())


class OfTheTest(unittest.TestCase):
    """What a server does that is wrong must be found."""

    def _found_where_nothing_is_done(self, verb, instead):
        server = TorturedServer()
        Command.untold = {verb: instead}
        try:
            with self.assertRaisesRegex(AssertionError, "lost|instead of|was counted|nobody wrote it|wrong replies"):
                run = Run(3, server)
                for number in range(5):
                    run.round(number, lambda server, r: server.kill())
        finally:
            Command.untold = {}
            server.kill()
            server.remove()

    def test_a_server_that_says_it_has_flushed_swapped_or_ingested_does_not_pass(self):
        fine = ["CONFIG", "RESETSTAT"]
        for verb, instead in (("FLUSHDB", fine), ("FLUSHALL", fine), ("SWAPDB", fine), ("LSM", ["CONFIG", "GET", "port"])):
            with self.subTest(verb):
                self._found_where_nothing_is_done(verb, instead)

    def test_half_of_what_was_unanswered_is_found(self):
        mine, others = {b"a": (b"1", None), b"b": (b"2", None)}, {b"c": (b"3", None)}
        bundle = {b"a": (b"new", None), b"d": (b"4", None)}

        def seen(own, other):
            return {**own, **{OTHER + key: entry for key, entry in other.items()}}

        for pending, whole, halves in (
                (swap(0, 16), seen(others, mine), [seen({}, mine), seen(others, others), seen(mine, {}), seen({**mine, **others}, {})]),
                (flush(), seen({}, others), [seen({b"a": mine[b"a"]}, others), seen({}, {})]),
                (Ingest("", b"", bundle), seen({**mine, **bundle}, others),
                 [seen({**mine, b"d": bundle[b"d"]}, others), seen(bundle, others), seen(mine, {**others, **bundle})])):
            for found, allowed in ((seen(mine, others), True), (whole, True), *((half, False) for half in halves)):
                state = State()
                state.keys = seen(mine, others)
                if allowed:
                    took_effect(state, [pending], False, found, 0, 0)
                    self.assertEqual(state.keys, found)
                else:
                    with self.assertRaises(WrongState):
                        took_effect(state, [pending], False, found, 0, 0)

    def test_an_unanswered_ingest_may_have_been_refused_and_no_other_command(self):
        def left_by(first):
            state = State()
            try:
                took_effect(state, [first, set_(b"a", b"1"), set_(b"b", b"2")], False, {b"a": (b"1", None)}, 0, 0)
            except WrongState:
                return None
            return state.keys
        self.assertEqual(left_by(Ingest("", b"", {b"d": (b"4", None)})), {b"a": (b"1", None)})
        self.assertIsNone(left_by(set_(b"d", b"4")))

    def test_an_unanswered_flush_of_all_that_took_one_database_alone_is_found(self):
        key = {b"a": (b"1", None)}
        for left, allowed in ((2, True), (1, False), (0, True)):
            run = Run(0, None)
            run.server = unittest.mock.Mock()
            workers = []
            for i, state in enumerate(run.states[:2]):
                state.keys = dict(key)
                workers.append(unittest.mock.Mock(answered=0, **{"settle.side_effect": lambda client, i=i, state=state: took_effect(
                    state, [], False, key if i < left else {}, 0, 0)}))
            with unittest.mock.patch.object(sys.modules[__name__], "RawClient"), unittest.mock.patch.object(Run, "_number", return_value=0):
                if allowed:
                    run._settle_with(workers, FlushAll(random.Random(0)))       # pylint: disable=protected-access
                    continue
                with self.assertRaisesRegex(WrongState, "FLUSHALL"):
                    run._settle_with(workers, FlushAll(random.Random(0)))       # pylint: disable=protected-access


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

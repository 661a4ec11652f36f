"""What concerns all databases of a torture run at once: the moments at which everybody has every answer, so that one may ask for FLUSHALL, or
swap databases of two connections. And the bundles for LSM INGEST.

A moment that was unanswered when the server died has happened wholly or not at all: in all databases, or in none. Nobody had
anything else unanswered then, so the databases are exactly what the answers have made of them, with it or without it.

    all at their work ──call()──► each comes when it has its answers (meet) ──all there──► one of them asks; all go on
"""

import os
import random
import threading

from raw_client import RawClient, command
from tool_directory import tool
from torture_load import FIRST_OTHER, SHARED_DATABASE
from torture_model import OK, OTHER, Command, Ingest
from torture_plan import KEYS


class FlushAll(Command):
    def __init__(self, r):
        super().__init__(["FLUSHALL", *r.choice(([], ["ASYNC"], ["SYNC"]))], self._apply)
        self._counts = r.random() < 0.3        # in one transaction with the first increment after it

    def sent(self):
        if not self._counts:
            return super().sent()
        return command("MULTI") + super().sent() + command("INCR", "shared") + command("EXEC")

    def reply(self, client):
        if not self._counts:
            return client.reply()
        replies = [client.reply() for _ in range(4)]
        return OK if replies == [OK, b"+QUEUED", b"+QUEUED", [OK, b":1"]] else replies

    def _apply(self, run):
        for state in run.states:
            state.keys.clear()
        run.flushed_all(1 if self._counts else 0)


class SwapAcross(Command):
    """Of two databases of any connections."""

    def __init__(self, r, connections):
        self._places = [(i % connections, i // connections == 1) for i in r.sample(range(2 * connections), 2)]
        super().__init__(["SWAPDB", *(i + FIRST_OTHER * is_other for i, is_other in self._places)], self._apply)

    def _apply(self, run):
        (one, one_is_other), (two, two_is_other) = self._places
        prefixes = [OTHER if is_other else b"" for is_other in (one_is_other, two_is_other)]
        ones, twos = run.states[one].take(prefixes[0]), run.states[two].take(prefixes[1])
        run.states[one].give(prefixes[0], twos)
        run.states[two].give(prefixes[1], ones)


class Moments:
    def __init__(self, run, parties, number, seed):
        """`number`: of the round; the first moment is another one in each."""
        self.called = False
        self.in_flight = None                  # asked for, and not answered
        self.wrong = None
        self.happened = []                     # verbs
        self._run = run
        self._random = random.Random(seed)
        self._number = number
        self._barrier = threading.Barrier(parties, action=self._ask)
        self._client = RawClient(run.server)
        self._client.ask("SELECT", SHARED_DATABASE)

    def call(self):
        """There is to be one, as soon as everybody has come."""
        self.called = True

    def meet(self):
        """For each who takes part, when it has all its answers. OSError or EOFError: the server is gone."""
        if self.called:
            try:
                self._barrier.wait()
            except threading.BrokenBarrierError as error:
                raise EOFError from error

    def leave(self):
        """Who takes part has ended, so there will be no other moment."""
        self._barrier.abort()

    def close(self):
        self._client.close()

    def _ask(self):
        moment = FlushAll(self._random) if self._number % 2 == 0 else SwapAcross(self._random, len(self._run.states))
        self._number += 1
        self.in_flight = moment
        self._client.send(moment.sent())
        reply = moment.reply(self._client)
        if reply == b"-ERR the server is shutting down":
            raise EOFError
        if reply != OK:
            self.wrong = f"{moment.words}: {reply!r:.200}"
        moment.apply(self._run)
        self.happened.append(moment.words[0] + ("" if moment.words[0] == "FLUSHALL" else " across"))
        self.in_flight = None
        self.called = False


class Bundles:
    """For LSM INGEST, of each connection's databases, built anew for each round."""

    def __init__(self, place, seed):
        self._place = place
        self._random = random.Random(seed)
        self._count = 0

    def of(self, connection):
        return [self._build(connection, b""), self._build(connection, OTHER if self._random.random() < 0.4 else b"")]

    def _build(self, connection, prefix):
        r = self._random
        self._count += 1
        entries = {}
        for i in range(r.choice((1, 10, 150))):
            stamp = b"<bundle %d/%d/%d>" % (self._count, i, r.randrange(1 << 30))
            value = (stamp * 1000)[:r.choice((len(stamp), 300, 5000, 20_000) if r.random() < 0.2 else (len(stamp), 300))]
            entries[b"k:%d" % r.randrange(KEYS)] = (value, 4_000_000_000_000 + i if r.random() < 0.3 else None)
        text = b"".join(key + b"\t" + value + (b"\t%d" % deadline if deadline else b"") + b"\n" for key, (value, deadline) in entries.items())
        directory = os.path.join(self._place, str(self._count))
        tool("build", "--db", str(connection + (FIRST_OTHER if prefix else 0)), directory, stdin=text)
        return Ingest(directory, prefix, entries)

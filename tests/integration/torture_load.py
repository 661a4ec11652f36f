"""What runs against the server of a torture run: connections that follow a plan, others that count together, and an operator."""

import random
import threading

from raw_client import RawClient, command
from torture_model import OTHER, WHOLE_DATABASES, Unsure, WrongState, now_ms, took_effect

DATABASES = 32
FIRST_OTHER = 16           # the other databases of the connections
SHARED_DATABASE = 15
TWIN_DATABASES = (13, 14)


class Connection(threading.Thread):
    """Sends its plan's commands in pipelines into databases of its own; knows what was answered and what was not."""

    def __init__(self, server, database, state, plan, moments, seed):
        super().__init__(daemon=True)
        self.database = database
        self.state = state
        self.answered = 0
        self.pending = []
        self.unsure = False                    # whether the first of them is still to come, or was left out
        self.wrong = None
        self.happened = []                     # verbs of what was answered and changed a whole database
        self._plan = plan
        self._moments = moments
        self._random = random.Random(seed)
        self._client = RawClient(server)
        if self._client.ask("SELECT", database) != b"+OK":
            raise AssertionError("no such database")

    def run(self):
        try:
            while self.wrong is None:
                if self._random.random() < 0.002:
                    self._moments.call()
                self._moments.meet()
                self.pending = [self._plan.next() for _ in range(self._random.choice((1, 1, 4, 20)))]
                self._client.send(b"".join(c.sent() for c in self.pending))
                while self.pending:
                    self._take(self.pending[0].reply(self._client))
        except Unsure:
            self.unsure = True
        except (EOFError, OSError):
            pass
        finally:
            self._moments.leave()
            self._client.close()

    def asks_for_whole_database(self):
        """And has no answer to it yet."""
        return any(c.words[0] in WHOLE_DATABASES for c in self.pending[:1])

    def _take(self, reply):
        done = self.pending[0]
        expected = done.judge(self.state, reply)
        self.pending.pop(0)
        self.answered += 1
        if done.words[0] in WHOLE_DATABASES and reply == expected and not (isinstance(reply, bytes) and reply.startswith(b"-")):
            self.happened.append(done.words[0])
        near = isinstance(done.words[1:2] and done.words[1], bytes) and done.words[1].startswith(b"e:")
        if reply != expected and not near and self.wrong is None:
            self.wrong = f"db {self.database}: {done.words[:3]}: {reply!r:.200} instead of {expected!r:.200}"

    def settle(self, client):
        """After a death: takes over what of the unanswered commands took effect. Returns how many did."""
        before = now_ms()
        seen = read_database(client, self.database)
        seen |= {OTHER + key: entry for key, entry in read_database(client, FIRST_OTHER + self.database).items()}
        after = now_ms()
        try:
            taken = took_effect(self.state, self.pending, self.unsure, seen, before, after)
        except WrongState as wrong:
            raise WrongState(f"db {self.database}, after {self.answered} answers: {wrong}") from None
        self.pending = []
        return taken


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

    def __init__(self, server, moments):
        super().__init__(daemon=True)
        self._client = RawClient(server)
        self._moments = moments
        self.answered = 0
        self.unanswered = 0

    def run(self):
        try:
            while True:
                self._moments.meet()
                self.ask()
        except (EOFError, OSError):
            pass
        finally:
            self._moments.leave()
            self._client.close()


class Counter(Asker):
    """Increments a key that others increment too."""

    def __init__(self, server, moments):
        super().__init__(server, moments)
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

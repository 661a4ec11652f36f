"""What one connection of a torture run asks for: commands without end, by seed."""

import random

from torture_model import (Transaction, append, copy, copy_to_other, delete, delete_other, expire_at, flush, flush_other, get,
                           getdel, incr, move, move_back, mset, near, now_ms, persist, rename, set_, setrange, swap)

KEYS = 250
LARGE = 120_000            # bytes; far over min-blob-size
BESIDE_LOG = 4_300_000     # bytes; a batch of these is written beside the log
NEAR_MS = 4000             # how far off a near deadline may be


class Plan:
    """The commands of one connection in one round, one after another without end."""

    def __init__(self, seed, database, other, ingests=(), large_share=0.01):
        self._random = random.Random(seed)
        self._ingests = ingests
        self._database = database
        self._other = other
        self._count = 0
        self._large_share = large_share

    def _key(self):
        return b"k:%d" % self._random.randrange(KEYS)

    def _value(self, size=None):
        self._count += 1
        r = self._random
        if size is None:
            size = r.randrange(20_000, LARGE) if r.random() < self._large_share else r.choice((8, 40, 200, 3000))
        stamp = b"<%d/%d>" % (self._count, r.randrange(1 << 30))
        return (stamp * (size // len(stamp) + 1))[:size]

    def next(self):
        r = self._random
        if r.random() < 0.08:
            commands = [self._command() for _ in range(r.randrange(1, 12))]
            if r.random() < 0.04:
                commands.insert(r.randrange(len(commands)), r.choice((flush(), swap(self._database, self._other))))
            return Transaction(commands)
        if r.random() < 0.01:
            return self._whole_database()
        if r.random() < 0.03:
            return near(b"e:%d" % r.randrange(50), self._value(), now_ms() + r.randrange(1, NEAR_MS))
        if r.random() < 0.001:
            return set_(b"h:%d" % r.randrange(2), self._value(BESIDE_LOG))
        if r.random() < 0.03:
            return r.choice((move_back, delete_other))(self._key(), self._database, self._other)
        return self._command()

    def _whole_database(self):
        kind = self._random.random()
        if kind < 0.1:
            return flush() if self._random.random() < 0.5 else flush_other(self._database, self._other)
        if kind < 0.6 or not self._ingests:
            return swap(self._database, self._other)
        return self._random.choice(self._ingests)

    def _command(self):
        r = self._random
        kind = r.random()
        if kind < 0.38:
            return set_(self._key(), self._value())
        if kind < 0.46:
            return mset({self._key(): self._value() for _ in range(r.randrange(2, 8))})
        if kind < 0.56:
            return delete([self._key()], r.choice(("DEL", "UNLINK")))
        if kind < 0.59:
            return delete(list({self._key() for _ in range(5)}), "DEL")
        if kind < 0.69:
            return incr(b"n:%d" % r.randrange(10), r.randrange(1, 100))
        if kind < 0.73:
            return append(b"a:%d:%d" % (r.randrange(10), self._count // 40), b"+" * r.randrange(1, 60))
        if kind < 0.78:
            return expire_at(self._key(), now_ms() + 3_600_000 + r.randrange(1_000_000))
        if kind < 0.80:
            return persist(self._key())
        if kind < 0.82:
            return set_(self._key(), self._value(), keep=True)
        if kind < 0.84:
            return set_(self._key(), self._value(), deadline=now_ms() + 3_600_000)
        if kind < 0.89:
            return rename(self._key(), self._key())
        if kind < 0.90:
            return getdel(self._key())
        if kind < 0.92:
            return setrange(self._key(), r.choice((0, 5, 300, 5000)), self._value(r.choice((0, 8, 40))))
        if kind < 0.93:
            key = self._key()
            return copy(key, key + b"c" if r.random() < 0.2 else b"k:%d" % ((int(key[2:]) + r.randrange(1, KEYS)) % KEYS), r.random() < 0.5)
        if kind < 0.94:
            return copy_to_other(self._key(), self._key(), self._other, r.random() < 0.5)
        if kind < 0.95:
            return move(self._key(), self._other)
        return get(self._key())

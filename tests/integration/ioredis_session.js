// What an application does through ioredis: node ioredis_session.js PORT. Exits with 0 when all of it went right.
'use strict';
const assert = require('assert');
const Redis = require('ioredis');

const KEYS = 2000;

async function scanAll(redis, match) {
  const found = new Set();
  for await (const keys of redis.scanStream({ match, count: 100 })) keys.forEach((key) => found.add(key));
  return found;
}

async function session(redis) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < KEYS; i++) pipeline.set(`user:${i}`, `${i}`);
  const replies = await pipeline.exec();
  assert.ok(replies.every(([error, reply]) => error === null && reply === 'OK'));

  assert.strictEqual(await redis.get('user:7'), '7');
  assert.deepStrictEqual(await redis.mget('user:1', 'nobody', 'user:2'), ['1', null, '2']);
  assert.strictEqual(await redis.incrby('counter', 5), 5);
  assert.strictEqual(await redis.set('once', 'a', 'NX'), 'OK');
  assert.strictEqual(await redis.set('once', 'b', 'NX'), null);

  const found = await scanAll(redis, 'user:*');
  assert.strictEqual(found.size, KEYS);
  await assert.rejects(redis.incr('once'), /not an integer/);
}

const redis = new Redis({ port: Number(process.argv[2]), host: '127.0.0.1', maxRetriesPerRequest: 1 });
session(redis)
  .then(() => redis.quit())
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
    redis.disconnect();
  });

// Event processors, each a process of its own, and an idempotent producer, through SIGKILL of the server and of a processor. The
// server is this scenario's own: DOPPEL_PROGRAM is started on a new data directory and free ports, and started again on the same.
import { execFile, fork, spawn } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EventHubBufferedProducerClient } from '@azure/event-hubs';
import { assert, sleep } from '../lib.mjs';
import { MemoryStore, eventually } from '../processors.mjs';

const program = process.env.DOPPEL_PROGRAM;
const hub = 'crash', partitions = 4, serverKills = 3;
const worker = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'processor.mjs');
const tell = (args) => promisify(execFile)(program, args).then((r) => r.stdout);
const freePort = () => new Promise((yes) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => yes(port)); }); });

class Server {
  folder = mkdtempSync(path.join(tmpdir(), 'doppel-crashes-')); ports = [];
  get data() { return path.join(this.folder, 'data'); }
  async start() {
    if (!this.ports.length) for (const name of ['https', 'mqtt', 'amqp', 'amqp-plain']) this.ports.push(`--${name}-port`, String(await freePort()));
    const log = openSync(path.join(this.folder, 'server.log'), 'a');
    this.process = spawn(program, ['serve', '--data-dir', this.data, ...this.ports], { stdio: ['ignore', log, log] });
    this.ended = new Promise((yes) => { this.process.once('exit', (code, signal) => yes(signal ?? code)); });
    await eventually('the server is ready', 60000, () => tell(['env', '--data-dir', this.data]).then((text) => { this.env = text; return true; }, () => false));
  }
  get connection() { return /DOPPEL_EH_EMULATOR_CONNECTION='?([^'\n]+)/.exec(this.env)[1]; }
  async kill() { this.process.kill('SIGKILL'); assert.equal(await this.ended, 'SIGKILL', 'the server ended by itself'); }
}

// All that was stored, as the processors saw it, and what they did wrong.
class Ledger {
  log = Array.from({ length: partitions }, () => []); problems = [];
  note(partition, sequence, number) {
    const known = this.log[partition][sequence];
    if (known !== undefined && known !== number) this.problems.push(`partition ${partition} has ${known} and ${number} at ${sequence}`);
    this.log[partition][sequence] = number;
  }
}

class Processor {
  // What the store told it, and the sequence number that comes next, for each partition.
  told = new Map(); owned = new Map(); errors = [];
  constructor(name, connection, store, ledger) {
    this.name = name; this.store = store; this.ledger = ledger;
    this.child = fork(worker, [connection, hub], { stdio: 'ignore' });
    this.ended = new Promise((yes) => { this.child.once('exit', (code, signal) => yes(signal ?? code)); });
    this.child.on('message', (m) => this.take(m));
  }
  async take(m) {
    if (m.began !== undefined) this.owned.set(m.began, undefined);
    else if (m.ended !== undefined) { this.owned.delete(m.ended); this.told.delete(m.ended); }
    else if (m.error) this.errors.push(m.error);
    else if (m.events) for (const [sequence, { n }] of m.events) this.see(m.partition, sequence, n);
    else {
      if (m.method === 'listCheckpoints') this.remember();
      const result = await this.store[m.method](...m.args);
      if (this.child.connected) this.child.send({ call: m.call, result });
    }
  }
  remember() {
    for (let i = 0; i < partitions; i++) {
      const id = String(i); const first = (this.store.checkpoints.get(id)?.sequenceNumber ?? -1) + 1;
      if (this.owned.get(id) === undefined) this.told.set(id, (this.told.get(id) ?? new Set()).add(first));
    }
  }
  see(partition, sequence, number) {
    const expected = this.owned.get(partition);
    if (expected === undefined) {
      const first = this.told.get(partition) ?? new Set();
      if (!first.has(sequence)) this.ledger.problems.push(`${this.name} begins partition ${partition} at ${sequence}, its checkpoint says ${[...first]}`);
      this.told.delete(partition);
    } else if (sequence !== expected) this.ledger.problems.push(`${this.name} sees ${sequence} of partition ${partition} after ${expected - 1}`);
    this.owned.set(partition, sequence + 1);
    this.ledger.note(Number(partition), sequence, number);
  }
  async kill() { this.child.kill('SIGKILL'); assert.equal(await this.ended, 'SIGKILL', `processor ${this.name} ended by itself: ${this.errors.at(-1)}`); this.owned.clear(); }
}

// Sends numbered events, to each partition in turn, all the time.
class Producer {
  next = 0; accepted = new Set(); failures = [];
  constructor(connection) {
    this.client = new EventHubBufferedProducerClient(connection, hub, {
      enableIdempotentRetries: true, maxWaitTimeInMs: 20, maxEventBufferLengthPerPartition: 50,
      retryOptions: { maxRetries: 100, retryDelayInMs: 200, maxRetryDelayInMs: 200, timeoutInMs: 5000 },
      onSendEventsSuccessHandler: ({ events }) => { for (const e of events) this.accepted.add(e.body.n); },
      onSendEventsErrorHandler: ({ error, events }) => { this.failures.push(`${events.map((e) => e.body.n)}: ${error.message}`); },
    });
    this.done = this.run();
  }
  async run() {
    for (; !this.isOver; await sleep(2)) { const n = this.next++; await this.client.enqueueEvent({ body: { n } }, { partitionId: String(n % partitions) }); }
    await this.client.close();
  }
  async stop() { this.isOver = true; await this.done; }
}

export default ({ test, before, after }) => {
  const server = new Server(), store = new MemoryStore(), ledger = new Ledger(); const processors = [];
  let producer, one;
  const start = (name) => { const p = new Processor(name, server.connection, store, ledger); processors.push(p); return p; };
  const accepts = (more) => { const goal = producer.accepted.size + more; return eventually(`${more} more events are accepted`, 30000, () => producer.accepted.size >= goal); };
  const seen = () => new Set(ledger.log.flat());
  const caughtUp = async () => {
    const accepted = [...producer.accepted];
    await eventually('every accepted event is seen', 30000, () => { const s = seen(); return accepted.every((n) => s.has(n)); });
    assert.deepEqual(ledger.problems, []);
  };

  before(async () => {
    assert.ok(program, 'DOPPEL_PROGRAM names no program to start');
    await server.start();
    await tell(['eventhubs', 'eventhub', 'create', '--name', hub, '--partition-count', String(partitions), '--message-retention', '1', '--data-dir', server.data]);
  });
  after(async () => {
    for (const p of processors) p.child.kill('SIGKILL');
    server.process?.kill('SIGKILL'); await server.ended;
    rmSync(server.folder, { recursive: true, force: true });
  });

  test('the server is killed again and again: the processor goes on from its checkpoints', async () => {
    one = start('one');
    await eventually('it has all partitions', 30000, () => one.owned.size === partitions);
    producer = new Producer(server.connection);
    for (let kill = 0; kill < serverKills; kill++) {
      await accepts(200);
      await server.kill(); await server.start();
      await accepts(200);
      await caughtUp();
    }
    return `${producer.accepted.size} events accepted over ${serverKills} kills, the processor was told of ${one.errors.length} errors`;
  }, 240000);
  test('a processor is killed: another goes on from its checkpoints', async () => {
    const two = start('two');
    const half = partitions / 2;
    await eventually('both have half', 60000, () => one.owned.size === half && two.owned.size === half);
    await accepts(200);
    const lost = [...one.owned.keys()];
    await one.kill();
    await accepts(200);
    await eventually('the other has all', 60000, () => two.owned.size === partitions);
    await accepts(200); await caughtUp();
    assert.ok(lost.every((id) => two.owned.get(id) !== undefined), 'it saw nothing of what it took over');
  }, 240000);
  test('processor and server are killed at once: a new processor goes on', async () => {
    const two = processors.at(-1);
    await Promise.all([two.kill(), server.kill()]); await server.start();
    const three = start('three');
    await eventually('it has all partitions', 60000, () => three.owned.size === partitions);
    await accepts(200); await caughtUp();
  }, 240000);
  test('each event of the idempotent producer is there once and in order, without a gap', async () => {
    await producer.stop(); await caughtUp();
    assert.deepEqual(producer.failures, []);
    assert.equal(producer.accepted.size, producer.next, 'an event was neither accepted nor refused');
    for (const [partition, numbers] of ledger.log.entries()) {
      const wanted = [...Array(producer.next).keys()].filter((n) => n % partitions === partition);
      const at = wanted.findIndex((n, i) => numbers[i] !== n);
      assert.equal(at, -1, `partition ${partition}, sequence number ${at}: event ${numbers[at]} instead of ${wanted[at]}, before it ${numbers.slice(Math.max(0, at - 8), at)}`);
      assert.equal(numbers.length, wanted.length);
    }
    return `${producer.next} events`;
  }, 240000);
};

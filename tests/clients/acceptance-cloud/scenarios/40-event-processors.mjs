// Event processors with a checkpoint store in memory: two share the partitions of an event hub, and when one goes the other takes over
// without a gap. And a reader of the lifecycle events of an IoT hub.
import { createRequire } from 'node:module';
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition } from '@azure/event-hubs';
import { assert, env, run, sleep } from '../lib.mjs';
import { MemoryStore, eventually, loadBalancingOptions } from '../processors.mjs';

const require = createRequire(import.meta.url);
const { Registry } = require('azure-iothub');
const retryOptions = { maxRetries: 0, timeoutInMs: 10000 };

export default ({ test, after }) => {
  const store = new MemoryStore(); const seen = new Map(); const clients = []; let next = 0;
  const processor = (name) => {
    const c = new EventHubConsumerClient('$Default', env.ehTls, env.ehName, store, { retryOptions, loadBalancingOptions });
    const owned = new Set();
    const sub = c.subscribe({
      processInitialize: async (x) => { owned.add(x.partitionId); }, processClose: async (_, x) => { owned.delete(x.partitionId); },
      processError: async () => {}, // the partition was taken by the other one
      processEvents: async (events, x) => {
        for (const e of events) if (e.body?.tag === run) { const by = seen.get(e.body.n) ?? []; by.push(name); seen.set(e.body.n, by); }
        if (events.length) await x.updateCheckpoint(events.at(-1));
      },
    }, { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 });
    const one = { name, owned, close: async () => { await sub.close(); await c.close(); } };
    clients.push(one); return one;
  };
  const put = async (count) => {
    const p = new EventHubProducerClient(env.ehTls, env.ehName, { retryOptions });
    for (let i = 0; i < count; i++) await p.sendBatch([{ body: { tag: run, n: next++ } }], { partitionId: String(i % env.ehPartitions) });
    await p.close();
  };
  const all = () => [...Array(next).keys()].every((n) => seen.has(n));
  let a, b;

  test('one processor takes every partition', async () => {
    a = processor('a'); await eventually('a has all', 15000, () => a.owned.size === env.ehPartitions);
    await put(20); await eventually('a saw all', 15000, all);
  }, 60000);
  test('a second one gets half of them', async () => {
    b = processor('b');
    await eventually('both have half', 25000, () => a.owned.size === env.ehPartitions / 2 && b.owned.size === env.ehPartitions / 2);
    await put(20); await eventually('they saw all', 15000, all);
    assert.ok([...seen.values()].some((by) => by.includes('b')), 'b saw nothing');
  }, 60000);
  test('when one goes the other goes on from its checkpoints', async () => {
    await b.close(); await put(20);
    await eventually('a has all again', 25000, () => a.owned.size === env.ehPartitions);
    await eventually('a saw all', 15000, all);
  }, 60000);
  after(async () => { await Promise.allSettled(clients.map((c) => c.close())); });

  test('lifecycle events tell of each deleted device once, in order', async () => {
    if (process.env.PORT_MAP || process.env.HOST_MAP) require('../../acceptance/portmap.cjs'); // the IoT packages dial fixed ports
    const registry = Registry.fromConnectionString(env.hubConn); const got = new Map(); const orders = new Map(); const subs = [];
    const c = new EventHubConsumerClient('$Default', env.ehTls, 'lifecycleevents', { retryOptions });
    const { partitionIds } = await c.getEventHubProperties();
    const failed = new Promise((_, no) => {
      for (const id of partitionIds) subs.push(c.subscribe(id, {
        processEvents: async (events) => { for (const e of events) {
          const device = e.properties?.deviceId; if (!device?.startsWith(run)) continue;
          got.set(device, [...(got.get(device) ?? []), e.properties.opType]);
          if (e.properties.opType === 'deleteDeviceIdentity') orders.set(id, [...(orders.get(id) ?? []), Number(device.split('-').at(-1))]);
          assert.equal(e.systemProperties['iothub-connection-device-id'], device);
        } },
        processError: async (x) => no(x),
      }, { startPosition: latestEventPosition, maxWaitTimeInSeconds: 1 }));
    });
    failed.catch(() => {});
    try {
      await sleep(2000);
      const ids = [...Array(10).keys()].map((i) => `${run}-gone-${i}`);
      for (const deviceId of ids) { await registry.create({ deviceId }); await registry.delete(deviceId); }
      await Promise.race([failed, eventually('all deletes', 15000, () => ids.every((id) => got.has(id)))]);
      await sleep(500); // a second one would come now
      for (const id of ids) assert.deepEqual(got.get(id).filter((op) => op === 'deleteDeviceIdentity'), ['deleteDeviceIdentity']);
      assert.deepEqual([...got.keys()].sort(), [...ids].sort());
      for (const order of orders.values()) assert.deepEqual(order, [...order].sort((a, b) => a - b)); // they were deleted in this order
    } finally { await Promise.allSettled(subs.map((s) => s.close())); await c.close(); }
  }, 60000);
};

// node processor.mjs CONNECTION EVENT_HUB   - one event processor in a process of its own, which a test can kill. Its checkpoint store
// is its parent's, asked over IPC; what it sees it tells the parent before it writes a checkpoint.
import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs';
import { loadBalancingOptions } from './processors.mjs';

const [connection, hub] = process.argv.slice(2);
const waiting = new Map(); let calls = 0;
const ask = (method, ...args) => new Promise((yes) => { waiting.set(++calls, yes); process.send({ call: calls, method, args }); });
process.on('message', ({ call, result }) => { waiting.get(call)(result); waiting.delete(call); });
process.on('disconnect', () => process.exit(0));
const store = {
  listOwnership: (...args) => ask('listOwnership', ...args.slice(0, 3)),
  claimOwnership: (owners) => ask('claimOwnership', owners),
  updateCheckpoint: (checkpoint) => ask('updateCheckpoint', checkpoint),
  listCheckpoints: (...args) => ask('listCheckpoints', ...args.slice(0, 3)),
};
const retryOptions = { maxRetries: 100, retryDelayInMs: 300, maxRetryDelayInMs: 300, timeoutInMs: 5000 };
new EventHubConsumerClient('$Default', connection, hub, store, { retryOptions, loadBalancingOptions }).subscribe({
  processInitialize: async (x) => { process.send({ began: x.partitionId }); },
  processClose: async (_, x) => { process.send({ ended: x.partitionId }); },
  processError: async (error) => { process.send({ error: `${error.code ?? error.name}: ${error.message}` }); },
  processEvents: async (events, x) => {
    if (!events.length) return;
    process.send({ partition: x.partitionId, events: events.map((e) => [e.sequenceNumber, e.body]) });
    await x.updateCheckpoint(events.at(-1));
  },
}, { startPosition: earliestEventPosition, maxBatchSize: 10, maxWaitTimeInSeconds: 1 });

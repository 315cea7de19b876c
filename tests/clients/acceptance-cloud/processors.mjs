// What the tests of event processors share: a checkpoint store in memory, and waiting.
import assert from 'node:assert/strict';
import { sleep } from './lib.mjs';

export const loadBalancingOptions = { strategy: 'greedy', updateIntervalInMs: 500, partitionOwnershipExpirationIntervalInMs: 3000 };

// What @azure/eventhubs-checkpointstore-blob keeps in a storage account.
export class MemoryStore {
  owners = new Map(); checkpoints = new Map();
  async listOwnership() { return [...this.owners.values()].map((o) => ({ ...o })); }
  async claimOwnership(wanted) {
    return wanted.filter((o) => !this.owners.has(o.partitionId) || this.owners.get(o.partitionId).etag === o.etag).map((o) => {
      const mine = { ...o, etag: `${Math.random()}`, lastModifiedTimeInMs: Date.now() };
      this.owners.set(o.partitionId, mine); return { ...mine };
    });
  }
  async updateCheckpoint(c) { this.checkpoints.set(c.partitionId, { ...c }); }
  async listCheckpoints() { return [...this.checkpoints.values()]; }
}

export const eventually = async (what, ms, fn) => {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(100)) if (await fn()) return;
  assert.fail(`not within ${ms} ms: ${what}`);
};

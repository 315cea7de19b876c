// The events of an IoT hub through its built-in endpoint: with its Event Hub-compatible connection string, found by a redirect as old
// clients do, and printed by `doppel iot hub monitor-events` (DOPPEL_PROGRAM, DOPPEL_DATA_DIR). And event hubs with a bearer token.
import { createHmac } from 'node:crypto';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { IotHubClient } from '@azure/arm-iothub';
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs';
import WebSocket from 'ws';
import { all, assert, credential, env, run } from '../lib.mjs';
import { eventually } from '../processors.mjs';

const require = createRequire(import.meta.url);
const { Registry } = require('azure-iothub');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Connection } = require('rhea-promise');
const retryOptions = { maxRetries: 0, timeoutInMs: 10000 };
const monitorSeconds = 3, lateSeconds = 4; // what a busy machine may add

export default ({ test, before, after }) => {
  const device = `${run}-monitored`; const hub = Object.fromEntries(env.hubConn.split(';').map((p) => [p.slice(0, p.indexOf('=')), p.slice(p.indexOf('=') + 1)]));
  const amqpPort = Number(/sb:\/\/[^/:;]+:(\d+)/.exec(env.ehTls)?.[1] ?? 5671);
  let client;
  before(async () => {
    if (process.env.PORT_MAP || process.env.HOST_MAP) require('../../acceptance/portmap.cjs'); // the IoT packages dial fixed ports
    const registry = Registry.fromConnectionString(env.hubConn);
    const made = (await registry.create({ deviceId: device })).responseBody;
    client = Client.fromConnectionString(`HostName=${hub.HostName};DeviceId=${device};SharedAccessKey=${made.authentication.symmetricKey.primaryKey}`, Mqtt);
    await client.open();
  });
  after(async () => { await client?.close(); await Registry.fromConnectionString(env.hubConn).delete(device); });

  const send = (n) => {
    const m = new Message(JSON.stringify({ n }));
    m.messageId = `${device}-${n}`; m.contentType = 'application/json'; m.contentEncoding = 'utf-8'; m.properties.add('alert', 'no');
    return client.sendEvent(m);
  };
  // Reads all partitions until the device's event `n` has come.
  const find = async (connection, n) => {
    const c = new EventHubConsumerClient('$Default', connection, { retryOptions }); let found, error; const subs = [];
    try {
      for (const id of await c.getPartitionIds()) subs.push(c.subscribe(id, {
        processEvents: async (events) => { found ??= events.find((e) => e.messageId === `${device}-${n}`); },
        processError: async (x) => { error ??= x; },
      }, { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 }));
      await eventually(`event ${n} has come`, 15000, () => found || error);
      if (error) throw error;
      return found;
    } finally { await Promise.allSettled(subs.map((s) => s.close())); await c.close(); }
  };
  const check = (e, n) => {
    assert.deepEqual(e.body, { n }); assert.equal(e.properties.alert, 'no'); assert.equal(e.contentType, 'application/json');
    const s = e.systemProperties;
    assert.equal(s['iothub-connection-device-id'], device); assert.equal(s['iothub-message-source'], 'Telemetry');
    assert.equal(JSON.parse(s['iothub-connection-auth-method']).type, 'sas'); assert.ok(s['iothub-connection-auth-generation-id']);
    assert.ok(Math.abs(new Date(s['iothub-enqueuedtime']) - Date.now()) < 60000, `enqueued at ${s['iothub-enqueuedtime']}`);
  };

  test('telemetry comes through the Event Hub-compatible connection string', async () => {
    const hubs = await all(new IotHubClient(credential(), env.subscription, { endpoint: env.arm }).iotHubResource.listBySubscription());
    const { path, endpoint } = hubs.find((h) => h.properties.hostName === hub.HostName).properties.eventHubEndpoints.events;
    await send(1);
    check(await find(`Endpoint=${endpoint};SharedAccessKeyName=${hub.SharedAccessKeyName};SharedAccessKey=${hub.SharedAccessKey};EntityPath=${path}`, 1), 1);
  });
  test('an old client finds the event hub by a redirect', async () => {
    const resource = encodeURIComponent(`${hub.HostName}/messages/events`), expiry = Math.ceil(Date.now() / 1000) + 300;
    const signature = createHmac('sha256', Buffer.from(hub.SharedAccessKey, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
    const connection = new Connection({
      transport: 'tls', host: hub.HostName, hostname: hub.HostName, port: amqpPort, reconnect: false,
      username: `${hub.SharedAccessKeyName}@sas.root.${hub.HostName.split('.')[0]}`,
      password: `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${hub.SharedAccessKeyName}`,
    });
    await connection.open();
    const error = await new Promise((yes, no) => {
      const source = { address: `amqps://${hub.HostName}/messages/events/$management` };
      connection.createReceiver({ source, onMessage: () => {}, onError: (context) => yes(context.receiver.error), onSessionError: () => {} }).catch(no);
    });
    await connection.close();
    assert.equal(error.condition, 'amqp:link:redirect');
    const { hostname, address, port } = error.info;
    const entity = new RegExp(`${amqpPort}/(.*)/\\$management`, 'i').exec(address)?.[1];
    assert.ok(hostname && entity, `redirected to ${address}`); assert.equal(port, amqpPort); assert.equal(error.info['network-host'], hostname);
    await send(2);
    check(await find(`Endpoint=sb://${hostname}:${port}/;SharedAccessKeyName=${hub.SharedAccessKeyName};SharedAccessKey=${hub.SharedAccessKey};EntityPath=${entity}`, 2), 2);
  });

  // What monitor-events prints and how long it runs after it is ready; `during` is called then.
  const monitor = async (args, during) => {
    assert.ok(process.env.DOPPEL_PROGRAM && process.env.DOPPEL_DATA_DIR, 'DOPPEL_PROGRAM or DOPPEL_DATA_DIR is not set');
    const p = spawn(process.env.DOPPEL_PROGRAM, ['iot', 'hub', 'monitor-events', ...args]);
    let out = '', err = '', readyAt; p.stdout.on('data', (d) => { out += d; }); p.stderr.on('data', (d) => { err += d; });
    const ended = new Promise((yes) => { p.once('close', (code, signal) => yes(code ?? signal)); });
    try {
      await eventually('the monitor is ready', 15000, () => { assert.equal(p.exitCode, null, err); return err.includes('Starting event monitor'); });
      readyAt = Date.now(); await during?.(() => out);
      const code = await ended;
      return { out, code, seconds: (Date.now() - readyAt) / 1000 };
    } finally { p.kill('SIGKILL'); }
  };
  test('monitor-events prints what the device sends', async () => {
    const { out, code, seconds } = await monitor(['--device-id', device, '--properties', 'all', '--timeout', String(monitorSeconds)], async (text) => {
      await send(3); await eventually('it is printed', 2500, () => text().trimEnd().endsWith('}'));
    });
    assert.equal(code, 0);
    const { event } = JSON.parse(out);
    assert.equal(event.origin, device); assert.deepEqual(event.payload, { n: 3 });
    assert.equal(event.properties.application.alert, 'no'); assert.equal(event.properties.system.message_id, `${device}-3`);
    assert.equal(event.annotations['iothub-message-source'], 'Telemetry');
    assert.ok(seconds >= monitorSeconds - 0.2 && seconds < monitorSeconds + 2 + lateSeconds, `it ran ${seconds} s`);
  });
  test('monitor-events ends on time when nothing comes', async () => {
    const { out, code, seconds } = await monitor(['--device-id', `${device}-other`, '--timeout', String(monitorSeconds)]);
    assert.equal(code, 0); assert.equal(out, '');
    assert.ok(seconds >= monitorSeconds - 0.2 && seconds < monitorSeconds + lateSeconds, `it ran ${seconds} s`);
  });

  for (const kind of ['amqp', 'websocket']) {
    const host = /sb:\/\/([^/;]+)/.exec(kind === 'amqp' ? env.ehTls : env.ehWs)[1];
    const options = { retryOptions, ...(kind === 'websocket' ? { webSocketOptions: { webSocket: WebSocket } } : {}) };
    const withProducer = async (cred, fn) => { const p = new EventHubProducerClient(host, env.ehName, cred, options); try { return await fn(p); } finally { await p.close(); } };
    test(`a bearer token sends and receives over ${kind}`, async () => {
      const tag = `${run}-${kind}-jwt`;
      const from = await withProducer(credential(), async (p) => {
        const { lastEnqueuedSequenceNumber } = await p.getPartitionProperties('0');
        await p.sendBatch([{ body: tag }], { partitionId: '0' }); return lastEnqueuedSequenceNumber;
      });
      const c = new EventHubConsumerClient('$Default', host, env.ehName, credential(), options); let got, sub;
      try {
        got = await new Promise((yes, no) => {
          sub = c.subscribe('0', { processEvents: async (e) => { if (e.length) yes(e[0]); }, processError: async (x) => no(x) },
            { startPosition: from < 0 ? earliestEventPosition : { sequenceNumber: from }, maxWaitTimeInSeconds: 1 });
        });
      } finally { await sub?.close(); await c.close(); }
      assert.equal(got.body, tag); assert.equal(got.sequenceNumber, from + 1);
    });
    test(`a bearer token that nobody issued is refused over ${kind}`, async () => {
      const forged = (await credential().getToken('https://eventhubs.azure.net//.default')).token.replace(/\.[^.]*$/, `.${Buffer.alloc(256, 1).toString('base64url')}`);
      const wrong = { getToken: async () => ({ token: forged, expiresOnTimestamp: Date.now() + 3600e3 }) };
      await assert.rejects(withProducer(wrong, (p) => p.getEventHubProperties()), (x) => x.code === 'UnauthorizedError' || assert.fail(`${x.code ?? x.name}: ${x.message}`));
    });
  }
};

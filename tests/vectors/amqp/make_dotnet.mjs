// Writes dotnet.txt: what an Event Hubs client of the Microsoft.Azure.EventHubs 4.x family says on its connection, byte for byte,
// written by rhea. What it says is that of docs/wire/event-hubs.md and of the client's source: SASL MSSBCBS without an initial
// response, a session for each link, put-token with a reply-to and an expiration, settled requests, `svc` management links, link
// properties with a time-out and an entity type, addresses with a slash in front, selectors whose value is bare, epochs as long.
//
// Only needed to make the file anew:
//   npm install --prefix /some/where rhea@3.0.5
//   NODE_PATH=/some/where/node_modules node make_dotnet.mjs
//
// A line: name <TAB> bytes in hex. src/events/wire/dotnet_transcript_test.cc plays them and knows the answers. Event hub "eh1" of
// "localhost" with the rule "Root", whose key is the text "ZG9wcGVs".
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_PATH + '/');
const types = require('rhea/lib/types.js');
const frames = require('rhea/lib/frames.js');
const terminus = require('rhea/lib/terminus.js');
const message = require('rhea/lib/message.js');

const lines = [];
const add = (name, ...parts) => lines.push(`${name}\t${Buffer.concat(parts).toString('hex')}`);
const frame = (channel, performative, payload) => frames.write_frame(frames.amqp_frame(channel, performative, payload));
const header = (protocol) => Buffer.from(`414d5150${protocol}010000`, 'hex');

const BATCH = 0x80013700;
const TIMEOUT = 'com.microsoft:timeout', ENTITY_TYPE = 'com.microsoft:entity-type', EPOCH = 'com.microsoft:epoch', NAME = 'com.microsoft:receiver-name';
const EVENT_HUB = 7, CONSUMER_GROUP = 8, PARTITION = 9; // of MessagingEntityType
const expires = 2000000000; // seconds; tests live in 2027
const sas = (key) => {
  const resource = encodeURIComponent('amqps://localhost/eh1').replace(/%[0-9A-F]{2}/g, (x) => x.toLowerCase());
  const signature = createHmac('sha256', key).update(`${resource}\n${expires}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expires}&skn=Root`;
};

// --- The connection.
add('sasl-header', header('03'));
add('sasl-init', frames.write_frame(frames.sasl_frame(frames.sasl_init({ mechanism: 'MSSBCBS', hostname: 'localhost' }))));
add('open', header('00'), frame(0, frames.open({ container_id: 'HUB-0a1b2c3d', hostname: 'localhost', max_frame_size: 65536, channel_max: 9999, idle_time_out: 60000,
  properties: { product: '.NET', version: '4.3.2', framework: '.NETCoreApp,Version=v3.1', platform: 'Unix', 'user-agent': 'WebJobs.Extensions.EventHubs' } })));
const begin = (channel) => add(`begin-${channel}`, frame(channel, frames.begin({ next_outgoing_id: 1, incoming_window: 5000, outgoing_window: 5000, handle_max: 262143, properties: {} })));
for (const channel of [0, 1, 2, 3, 4, 5, 6, 7]) begin(channel);
add('empty', Buffer.from('0000000802000000', 'hex'));
add('close', frame(0, frames.close({})));

// --- Request-response links: requests are settled, replies are wanted settled.
const asking = (channel, type, address, replyTo) => {
  const properties = { [TIMEOUT]: types.wrap_uint(60000) };
  add(`${type}-attach`, frame(channel, frames.attach({ name: `${type}:${replyTo}:sender`, handle: 0, role: false, snd_settle_mode: 1, rcv_settle_mode: 0,
    source: terminus.source({ address: replyTo }).described(), target: terminus.target({ address }).described(), initial_delivery_count: 0, properties })),
  frame(channel, frames.attach({ name: `${type}:${replyTo}:receiver`, handle: 1, role: true, snd_settle_mode: 1, rcv_settle_mode: 0,
    source: terminus.source({ address }).described(), target: terminus.target({ address: replyTo }).described(), properties })));
  add(`${type}-credit`, frame(channel, frames.flow({ next_incoming_id: 1, incoming_window: 5000, next_outgoing_id: 1, outgoing_window: 5000, handle: 1, delivery_count: 0, link_credit: 50 })));
};
const ask = (channel, id, content) => frame(channel, frames.transfer({ handle: 0, delivery_id: id, delivery_tag: Buffer.from([id, 0, 0, 0]), message_format: 0, settled: true, batchable: true }),
  message.encode(content));

const cbsReplies = 'c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1', svcReplies = 'd2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2';
asking(0, 'cbs', '$cbs', cbsReplies);
const token = (id, value, audience) => ask(0, id, { message_id: types.wrap_ulong(id), reply_to: cbsReplies, body: value, application_properties: {
  operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: audience, expiration: types.wrap_timestamp(expires * 1000) } });
// A token for each link, before it is attached.
const audiences = { 'cbs-token': '/eh1/Partitions/0', 'cbs-token-svc': '/eh1/$management', 'cbs-token-receive': '/eh1/ConsumerGroups/$Default/Partitions/0' };
Object.entries(audiences).forEach(([name, path], id) => add(name, token(id, sas('ZG9wcGVs'), `amqps://localhost${path}`)));
add('cbs-token-forged', token(3, sas('wrong'), 'amqps://localhost/eh1'));

asking(1, 'svc', '$management', svcReplies);
const read = (id, properties) => ask(1, id, { message_id: types.wrap_ulong(id), reply_to: svcReplies, application_properties: { operation: 'READ', ...properties, security_token: sas('ZG9wcGVs') } });
add('svc-event-hub', read(0, { name: 'eh1', type: 'com.microsoft:eventhub' }));
add('svc-partition', read(1, { name: 'eh1', type: 'com.microsoft:partition', partition: '0' }));
add('svc-missing', read(2, { name: 'none', type: 'com.microsoft:eventhub' }));

// --- Senders.
const sender = (channel, name, address, entity) => add(name, frame(channel, frames.attach({ name: `HUB-0a1b2c3d:${name}`, handle: 0, role: false, rcv_settle_mode: 0,
  source: terminus.source({ address: 'HUB-0a1b2c3d' }).described(), target: terminus.target({ address }).described(), initial_delivery_count: 0,
  properties: { [TIMEOUT]: types.wrap_uint(59987), [ENTITY_TYPE]: types.wrap_int(entity) } })));
sender(2, 'send-attach', '/eh1/Partitions/0', PARTITION);
sender(3, 'send-attach-missing', '/none', EVENT_HUB);
const event = (text) => message.encode({ application_properties: { source: 'dotnet', n: types.wrap_int(text.length) }, body: message.data_section(Buffer.from(text)) });
const send = (name, id, format, payload) => add(name, frame(2, frames.transfer({ handle: 0, delivery_id: id, delivery_tag: Buffer.from([id, 0, 0, 0]), message_format: format, settled: false, batchable: true }), payload));
send('send-single', 0, 0, event('one'));
send('send-batch', 1, BATCH, message.encode({ body: message.data_sections([event('two'), event('three')]) }));
// A batch in two frames.
const long = message.encode({ body: message.data_sections([event('x'.repeat(700)), event('four')]) });
add('send-batch-in-two', frame(2, frames.transfer({ handle: 0, delivery_id: 2, delivery_tag: Buffer.from([2, 0, 0, 0]), message_format: BATCH, settled: false, more: true, batchable: true }), long.subarray(0, 500)),
  frame(2, frames.transfer({ handle: 0, more: false }), long.subarray(500)));
add('send-detach', frame(2, frames.detach({ handle: 0, closed: true })), frame(2, frames.end({})));

// --- Receivers: the flow follows the attach at once.
const receiver = (channel, name, expression, { epoch, metric, partition = 0 } = {}) => {
  const properties = { [TIMEOUT]: types.wrap_uint(59990), [ENTITY_TYPE]: types.wrap_int(CONSUMER_GROUP), [NAME]: 'host-1' };
  if (epoch !== undefined) properties[EPOCH] = types.wrap_long(epoch);
  const filter = expression && { 'apache.org:selector-filter:string': types.described(types.wrap_ulong(0x1370000000a), types.wrap_string(expression)) };
  const attach = { name: `HUB-0a1b2c3d:${name}`, handle: 0, role: true, snd_settle_mode: 1, rcv_settle_mode: 0,
    source: terminus.source({ address: `/eh1/ConsumerGroups/$Default/Partitions/${partition}`, filter }).described(), target: terminus.target({ address: 'HUB-0a1b2c3d' }).described(), properties };
  if (metric) attach.desired_capabilities = ['com.microsoft:enable-receiver-runtime-metric'];
  add(name, frame(channel, frames.attach(attach)),
    frame(channel, frames.flow({ next_incoming_id: 1, incoming_window: 5000, next_outgoing_id: 1, outgoing_window: 5000, handle: 0, delivery_count: 0, link_credit: 300 })));
};
receiver(4, 'receive-start', 'amqp.annotation.x-opt-offset > -1', { metric: true });
receiver(4, 'receive-offset', 'amqp.annotation.x-opt-offset >= 1');
receiver(4, 'receive-sequence', 'amqp.annotation.x-opt-sequence-number > 1');
receiver(4, 'receive-time', 'amqp.annotation.x-opt-enqueued-time > 1700000000000');
receiver(4, 'receive-end', 'amqp.annotation.x-opt-offset > @latest');
receiver(5, 'receive-epoch-5', 'amqp.annotation.x-opt-offset > @latest', { epoch: 5 });
receiver(6, 'receive-epoch-6', 'amqp.annotation.x-opt-offset > @latest', { epoch: 6 });
receiver(7, 'receive-epoch-4', 'amqp.annotation.x-opt-offset > @latest', { epoch: 4 });
add('receive-detach', frame(4, frames.detach({ handle: 0, closed: true })));

writeFileSync(new URL('dotnet.txt', import.meta.url), '# Made by make_dotnet.mjs with rhea 3.0.5: name, bytes. Not to be edited.\n' + lines.join('\n') + '\n');

// Writes rhea.txt: bytes made by rhea, the AMQP library under Azure's Node SDKs, with what was put
// in as text (the notation is told in src/protocol/amqp/testing.h).
//
// Only needed to make the file anew:
//   npm install --prefix /some/where rhea@3.0.5
//   NODE_PATH=/some/where/node_modules node make_rhea.mjs
//
// A line: name <TAB> value, performative, sasl or message <TAB> bytes in hex <TAB> meaning.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_PATH + '/');
const types = require('rhea/lib/types.js');
const frames = require('rhea/lib/frames.js');
const terminus = require('rhea/lib/terminus.js');
const message = require('rhea/lib/message.js');

const escaped = (value) =>
  [...Buffer.from(value)]
    .map((b) => (/[A-Za-z0-9_.:/$@*> '-]/.test(String.fromCharCode(b)) && b < 0x80
      ? String.fromCharCode(b) : '%' + b.toString(16).padStart(2, '0')))
    .join('');
const hex = (typed) => {
  const writer = new types.Writer();
  writer.write(typed);
  return writer.toBuffer().toString('hex');
};

const lines = [];
const add = (name, kind, bytes, meaning) => lines.push([name, kind, bytes, meaning].join('\t'));

// --- Values: [name, what rhea writes, meaning].
const number = (type, constructor, ...values) =>
  values.map((v) => [`${type}-${constructor}-${v}`, types[constructor](v), `${type}:${v}`]);
const text = (type, constructor, ...values) =>
  values.map((v) => [`${type}-${constructor}-${v.length}`, types[constructor](v), `${type}:${escaped(v)}`]);

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const a300 = 'a'.repeat(300);
const values = [
  ['null', types.Null(), 'null'],
  ['true', types.True(), 'bool:true'],
  ['false', types.False(), 'bool:false'],
  ['boolean-true', types.Boolean(1), 'bool:true'],
  ['boolean-false', types.Boolean(0), 'bool:false'],
  ...number('ubyte', 'Ubyte', 0, 255),
  ...number('ushort', 'Ushort', 0, 1, 65535),
  ['uint-0', types.Uint0(), 'uint:0'],
  ...number('uint', 'SmallUint', 0, 1, 255),
  ...number('uint', 'Uint', 0, 256, 4294967295),
  ['ulong-0', types.Ulong0(), 'ulong:0'],
  ...number('ulong', 'SmallUlong', 0, 255),
  ...number('ulong', 'Ulong', 0, 256, 4294967296, 9007199254740991),
  ['ulong-most', types.Ulong(Buffer.from('ffffffffffffffff', 'hex')), 'ulong:18446744073709551615'],
  ...number('byte', 'Byte', -128, 0, 127),
  ...number('short', 'Short', -32768, 0, 32767),
  ...number('int', 'SmallInt', -128, -1, 0, 127),
  ...number('int', 'Int', -2147483648, -129, 0, 128, 2147483647),
  ...number('long', 'SmallLong', -128, 0, 127),
  ...number('long', 'Long', -9007199254740991, -1, 0, 128, 9007199254740991),
  ['float', types.Float(1.5), 'float:3fc00000'],
  ['float-negative', types.Float(-0.0), 'float:80000000'],
  ['double', types.Double(22.75), 'double:4036c00000000000'],
  ['double-nan', types.Double(NaN), 'double:7ff8000000000000'],
  ['decimal32', types.Decimal32(Buffer.from('22500001', 'hex')), 'decimal32:22500001'],
  ['decimal64', types.Decimal64(uuid.subarray(0, 8)), 'decimal64:0011223344556677'],
  ['decimal128', types.Decimal128(uuid), 'decimal128:00112233445566778899aabbccddeeff'],
  ['char', types.CharUTF32(0x1f600), 'char:128512'],
  ...number('timestamp', 'Timestamp', 0, 1700000000123, -1),
  ['uuid', types.Uuid(uuid), 'uuid:00112233445566778899aabbccddeeff'],
  ['binary-Vbin8', types.Vbin8(Buffer.from([0, 255, 65])), 'binary:%00%ffA'],
  ['binary-Vbin32', types.Vbin32(Buffer.from([0, 255, 65])), 'binary:%00%ffA'],
  ['binary-long', types.wrap_binary(Buffer.alloc(256, 7)), 'binary:' + '%07'.repeat(256)],
  ...text('string', 'Str8', '', 'text', 'Grüße, 世界 🚀', 'a'.repeat(255)),
  ...text('string', 'Str32', '', 'text', a300),
  ...text('symbol', 'Sym8', '', 'x-opt-offset'),
  ...text('symbol', 'Sym32', 'x-opt-offset', a300),
  ['list-List0', types.List0(), '[]'],
  ['list-List8-empty', types.List8([]), '[]'],
  ['list-List32-empty', types.List32([]), '[]'],
  ['list-List8', types.List8([types.Uint(1), types.Null(), types.Str8('x')]), '[uint:1,null,string:x]'],
  ['list-List32', types.List32([types.List8([types.List0()]), types.True()]), '[[[]],bool:true]'],
  ['list-long', types.List32(Array.from({ length: 300 }, (_, i) => types.Uint(i))),
    '[' + Array.from({ length: 300 }, (_, i) => `uint:${i}`).join(',') + ']'],
  ['map-Map8-empty', types.Map8([]), '{}'],
  ['map-Map8', types.Map8([types.Sym8('k'), types.SmallInt(-3), types.Str8('l'), types.Null()]), '{symbol:k=int:-3,string:l=null}'],
  ['map-Map32', types.Map32([types.Ulong(7), types.Map8([types.True(), types.False()])]), '{ulong:7={bool:true=bool:false}}'],
  ['array-of-string', types.Array8(['0', '1', '2'], types.Str8.typecode), 'array<string>[string:0,string:1,string:2]'],
  ['array-of-long-string', types.Array32(['0', a300], types.Str32.typecode), `array<string>[string:0,string:${a300}]`],
  ['array-of-symbol', types.wrap_array(['PLAIN', 'ANONYMOUS'], types.Sym8.typecode), 'array<symbol>[symbol:PLAIN,symbol:ANONYMOUS]'],
  ['array-of-one', types.Array8(['PLAIN'], types.Sym32.typecode), 'array<symbol>[symbol:PLAIN]'],
  ['array-empty', types.Array8([], types.Str8.typecode), 'array<string>[]'],
  ['array-of-boolean', types.Array8([1, 0], types.Boolean.typecode), 'array<bool>[bool:true,bool:false]'],
  ['array-of-smalluint', types.Array8([1, 255], types.SmallUint.typecode), 'array<uint>[uint:1,uint:255]'],
  ['array-of-uint0', types.Array8([0, 0], types.Uint0.typecode), 'array<uint>[uint:0,uint:0]'],
  ['array-of-int', types.Array32([-1, 70000], types.Int.typecode), 'array<int>[int:-1,int:70000]'],
  ['array-of-smalllong', types.Array8([-1, 7], types.SmallLong.typecode), 'array<long>[long:-1,long:7]'],
  ['array-of-double', types.Array8([0.5], types.Double.typecode), 'array<double>[double:3fe0000000000000]'],
  ['array-of-uuid', types.Array8([uuid], types.Uuid.typecode), 'array<uuid>[uuid:00112233445566778899aabbccddeeff]'],
  ['array-of-list', types.Array32([[types.Uint0()], []], types.List8.typecode), 'array<list>[[uint:0],[]]'],
  ['array-of-list0', types.Array8([[], []], types.List0.typecode), 'array<list>[[],[]]'],
  ['array-of-map', types.Array32([[types.Str8('k'), types.True()]], types.Map8.typecode), 'array<map>[{string:k=bool:true}]'],
  ['array-of-described', types.Array32(['a'], types.Str8.typecode, types.Sym8('d')), 'array<@symbol:d string>[string:a]'],
  ['described-by-ulong', types.described(types.Ulong(0x468c00000004), types.Str8('x')), '@ulong:77567109365764(string:x)'],
  ['described-by-symbol', types.described(types.Sym8('apache.org:selector-filter:string'), types.Str32("amqp.annotation.x-opt-offset > '-1'")),
    "@symbol:apache.org:selector-filter:string(string:amqp.annotation.x-opt-offset > '-1')"],
];
for (const [name, typed, meaning] of values) add(name, 'value', hex(typed), meaning);

// --- Frames: [name, performative, meaning].
const filter = { 'apache.org:selector-filter:string': types.described(types.wrap_ulong(0x468c00000004), types.wrap_string("amqp.annotation.x-opt-offset > '@latest'")) };
const filterText = "{symbol:apache.org:selector-filter:string=@ulong:77567109365764(string:amqp.annotation.x-opt-offset > '%40latest')}".replace('%40', '@');
const error = (name) => ({ condition: 'amqp:not-found', description: "The messaging entity 'sb://ns/eh' could not be found", info: { tracking: types.wrap_string(name) } });
const errorText = (name) => `(error condition=symbol:amqp:not-found description=string:The messaging entity 'sb://ns/eh' could not be found info={string:tracking=string:${name}})`;
// rhea has no way to set these fields.
const with_field = (composite, index, typed) => {
  const described = composite.described();
  described.value[index] = typed;
  return described;
};
const performatives = [
  ['open', frames.open({ container_id: 'c1', hostname: 'localhost', max_frame_size: 65536, channel_max: 4999, idle_time_out: 60000,
    offered_capabilities: ['a', 'b'], desired_capabilities: ['c'], properties: { product: 'MSJSClient', version: '6.0.4' } }),
    'open container-id=string:c1 hostname=string:localhost max-frame-size=uint:65536 channel-max=ushort:4999 idle-time-out=uint:60000 ' +
    'offered-capabilities=a,b desired-capabilities=c properties={symbol:product=string:MSJSClient,symbol:version=string:6.0.4}'],
  ['open-least', frames.open({ container_id: '' }), 'open'],
  ['open-locales', frames.open({ container_id: 'c', outgoing_locales: ['en-US'], incoming_locales: ['de-DE', 'en-US'] }),
    'open container-id=string:c outgoing-locales=en-US incoming-locales=de-DE,en-US'],
  ['begin', frames.begin({ next_outgoing_id: 0, incoming_window: 2048, outgoing_window: 4294967295 }),
    'begin incoming-window=uint:2048 outgoing-window=uint:4294967295'],
  ['begin-answer', frames.begin({ remote_channel: 3, next_outgoing_id: 1, incoming_window: 5000, outgoing_window: 5000, handle_max: 255,
    offered_capabilities: ['x'], properties: { p: 1 } }),
    'begin remote-channel=ushort:3 next-outgoing-id=uint:1 incoming-window=uint:5000 outgoing-window=uint:5000 handle-max=uint:255 ' +
    'offered-capabilities=x properties={symbol:p=uint:1}'],
  ['attach-sender', frames.attach({ name: 'eh1-uuid', handle: 0, role: false, snd_settle_mode: 2, rcv_settle_mode: 0, source: terminus.source({ address: 'client' }).described(),
    target: terminus.target({ address: 'eh1/Partitions/0' }).described(), initial_delivery_count: 0, max_message_size: 1048576, desired_capabilities: ['com.microsoft:georeplication'],
    properties: { 'com.microsoft:timeout': types.wrap_uint(60000) } }),
    'attach name=string:eh1-uuid source=(source address=string:client) target=(target address=string:eh1/Partitions/0) initial-delivery-count=uint:0 ' +
    'max-message-size=ulong:1048576 desired-capabilities=com.microsoft:georeplication properties={symbol:com.microsoft:timeout=uint:60000}'],
  ['attach-receiver', frames.attach({ name: 'r', handle: 300, role: true, snd_settle_mode: 1, rcv_settle_mode: 1,
    source: terminus.source({ address: 'eh1/ConsumerGroups/$Default/Partitions/0', durable: 2, expiry_policy: 'never', timeout: 30, dynamic: true,
      dynamic_node_properties: { 'lifetime-policy': types.wrap_string('x') }, distribution_mode: 'copy', filter,
      outcomes: ['amqp:accepted:list'], capabilities: ['queue'] }).described(),
    target: terminus.target({ address: 'consumer', capabilities: ['topic', 'queue'] }).described(), properties: { 'com.microsoft:epoch': types.wrap_long(5) } }),
    'attach name=string:r handle=uint:300 role=receiver snd-settle-mode=1 rcv-settle-mode=1 source=(source ' +
    'address=string:eh1/ConsumerGroups/$Default/Partitions/0 durable=2 expiry-policy=symbol:never timeout=uint:30 dynamic=bool:true ' +
    `dynamic-node-properties={symbol:lifetime-policy=string:x} distribution-mode=symbol:copy filter=${filterText} outcomes=amqp:accepted:list ` +
    'capabilities=queue) target=(target address=string:consumer capabilities=topic,queue) properties={symbol:com.microsoft:epoch=long:5}'],
  ['attach-refused', frames.attach({ name: 'r', handle: 1, role: false }), 'attach name=string:r handle=uint:1'],
  ['attach-coordinator', with_field(frames.attach({ name: 'tx', handle: 0, role: false }), 6,
    types.described(types.wrap_ulong(0x30), types.List8([types.Null()]))), 'attach name=string:tx target=@ulong:48([null])'],
  ['flow', frames.flow({ next_incoming_id: 0, incoming_window: 2048, next_outgoing_id: 4294967295, outgoing_window: 10, handle: 0, delivery_count: 7,
    link_credit: 300, available: 2, drain: true, echo: true, properties: { a: true } }),
    'flow next-incoming-id=uint:0 incoming-window=uint:2048 next-outgoing-id=uint:4294967295 outgoing-window=uint:10 handle=uint:0 ' +
    'delivery-count=uint:7 link-credit=uint:300 available=uint:2 drain=bool:true echo=bool:true properties={symbol:a=bool:true}'],
  ['flow-session', frames.flow({ incoming_window: 1, next_outgoing_id: 2, outgoing_window: 3 }),
    'flow incoming-window=uint:1 next-outgoing-id=uint:2 outgoing-window=uint:3'],
  ['transfer', frames.transfer({ handle: 1, delivery_id: 65536, delivery_tag: Buffer.from([0, 1, 2, 255]), message_format: 0x80013700, settled: false, more: true }),
    'transfer handle=uint:1 delivery-id=uint:65536 delivery-tag=%00%01%02%ff message-format=uint:2147563264 settled=bool:false more=bool:true'],
  ['transfer-all', with_field(frames.transfer({ handle: 0, delivery_id: 0, delivery_tag: Buffer.from('a'.repeat(32)), message_format: 0, settled: true, more: true,
    rcv_settle_mode: 1, resume: true, aborted: true, batchable: true }), 7, message.received({ section_number: 1, section_offset: 1000 }).described()),
    `transfer delivery-id=uint:0 delivery-tag=${'a'.repeat(32)} message-format=uint:0 settled=bool:true more=bool:true rcv-settle-mode=1 ` +
    'state=(received section-number=uint:1 section-offset=ulong:1000) resume=bool:true aborted=bool:true batchable=bool:true'],
  ['transfer-next', frames.transfer({ handle: 255 }), 'transfer handle=uint:255'],
  ['disposition-accepted', frames.disposition({ role: true, first: 1, last: 300, settled: true, state: message.accepted().described() }),
    'disposition role=receiver first=uint:1 last=uint:300 settled=bool:true state=(accepted)'],
  ['disposition-rejected', frames.disposition({ role: true, first: 5, settled: true, state: message.rejected({ error: types.described(types.wrap_ulong(0x1d), types.List8([types.Sym8('amqp:not-allowed'), types.Str8('no')])) }).described() }),
    'disposition role=receiver first=uint:5 settled=bool:true state=(rejected error=(error condition=symbol:amqp:not-allowed description=string:no))'],
  ['disposition-released', frames.disposition({ role: true, first: 5, state: message.released().described(), batchable: true }),
    'disposition role=receiver first=uint:5 state=(released) batchable=bool:true'],
  ['disposition-modified', frames.disposition({ role: true, first: 5, state: message.modified({ delivery_failed: true, undeliverable_here: false, message_annotations: { 'x-a': 1 } }).described() }),
    'disposition role=receiver first=uint:5 state=(modified delivery-failed=bool:true undeliverable-here=bool:false message-annotations={symbol:x-a=uint:1})'],
  ['disposition-transactional', frames.disposition({ role: true, first: 5, state: types.described(types.wrap_ulong(0x34), types.List8([types.Vbin8(Buffer.from('t'))])) }),
    'disposition role=receiver first=uint:5 state=@ulong:52([binary:t])'],
  ['disposition-sender', frames.disposition({ role: false, first: 0, settled: true }), 'disposition settled=bool:true'],
  ['detach', frames.detach({ handle: 3, closed: true, error: error('t1') }), `detach handle=uint:3 closed=bool:true error=${errorText('t1')}`],
  ['detach-plain', frames.detach({ handle: 0 }), 'detach'],
  ['end', frames.end({}), 'end'],
  ['end-error', frames.end({ error: error('t2') }), `end error=${errorText('t2')}`],
  ['close', frames.close({}), 'close'],
  ['close-error', frames.close({ error: error('t3') }), `close error=${errorText('t3')}`],
];
for (const [name, performative, meaning] of performatives) {
  const bytes = frames.write_frame(frames.amqp_frame(0, performative)).subarray(8);
  add(name, 'performative', bytes.toString('hex'), meaning);
}

const sasl = [
  ['sasl-mechanisms', frames.sasl_mechanisms({ sasl_server_mechanisms: ['MSSBCBS', 'PLAIN', 'ANONYMOUS', 'EXTERNAL'] }),
    'sasl-mechanisms sasl-server-mechanisms=MSSBCBS,PLAIN,ANONYMOUS,EXTERNAL'],
  ['sasl-mechanisms-one', frames.sasl_mechanisms({ sasl_server_mechanisms: 'ANONYMOUS' }), 'sasl-mechanisms sasl-server-mechanisms=ANONYMOUS'],
  ['sasl-init', frames.sasl_init({ mechanism: 'PLAIN', initial_response: Buffer.from('\0user\0password'), hostname: 'localhost' }),
    'sasl-init mechanism=symbol:PLAIN initial-response=binary:%00user%00password hostname=string:localhost'],
  ['sasl-init-none', frames.sasl_init({ mechanism: 'MSSBCBS' }), 'sasl-init mechanism=symbol:MSSBCBS'],
  ['sasl-challenge', frames.sasl_challenge({ challenge: Buffer.from([1, 2]) }), 'sasl-challenge challenge=binary:%01%02'],
  ['sasl-response', frames.sasl_response({ response: Buffer.from('r') }), 'sasl-response response=binary:r'],
  ['sasl-outcome', frames.sasl_outcome({ code: 0 }), 'sasl-outcome'],
  ['sasl-outcome-refused', frames.sasl_outcome({ code: 1, additional_data: Buffer.from('no') }), 'sasl-outcome code=1 additional-data=binary:no'],
];
for (const [name, performative, meaning] of sasl)
  add(name, 'sasl', frames.write_frame(frames.sasl_frame(performative)).subarray(8).toString('hex'), meaning);

// --- Messages: sections divided by " | "; see message_vectors_test.cc.
const event = (n) => message.encode({ message_id: `m${n}`, application_properties: { n }, body: message.data_section(Buffer.from(`event ${n}`)) });
const eventText = (n) => `properties message-id=string:m${n} | application-properties {string:n=uint:${n}} | data event ${n}`;
const messages = [
  ['message-data', { body: message.data_section(Buffer.from('hello')) }, 'data hello'],
  ['message-several-data', { body: message.data_sections([Buffer.from('a'), Buffer.from(''), Buffer.from('b')]) }, 'data a | data  | data b'],
  ['message-value', { body: 'text' }, 'value string:text'],
  ['message-value-map', { body: { k: [1, 'x'] } }, 'value {string:k=[uint:1,string:x]}'],
  ['message-sequence', { body: message.sequence_section([types.wrap_int(1), types.wrap_string('x')]) }, 'sequence [int:1,string:x]'],
  ['message-full', {
    durable: true, priority: 5, ttl: 1000, first_acquirer: true, delivery_count: 2,
    delivery_annotations: { d: 1 }, message_annotations: { 'x-opt-partition-key': 'pk', 'x-opt-sequence-number': types.wrap_long(7) },
    message_id: types.wrap_uuid(uuid), user_id: 'me', to: 'you', subject: 's', reply_to: 'r', correlation_id: 5, content_type: 'application/json',
    content_encoding: 'utf-8', absolute_expiry_time: new Date(1700000000000), creation_time: new Date(1600000000000), group_id: 'g', group_sequence: 9, reply_to_group_id: 'rg',
    application_properties: { s: 'v', i: -5, b: true }, body: message.data_section(Buffer.from([0, 255])), footer: { f: 'x' } },
    'header durable=bool:true priority=ubyte:5 ttl=uint:1000 first-acquirer=bool:true delivery-count=uint:2 | delivery-annotations {symbol:d=uint:1} | ' +
    'message-annotations {symbol:x-opt-partition-key=string:pk,symbol:x-opt-sequence-number=long:7} | ' +
    'properties message-id=uuid:00112233445566778899aabbccddeeff user-id=binary:me to=string:you subject=string:s reply-to=string:r correlation-id=ulong:5 ' +
    'content-type=symbol:application/json content-encoding=symbol:utf-8 absolute-expiry-time=timestamp:1700000000000 creation-time=timestamp:1600000000000 ' +
    'group-id=string:g group-sequence=uint:9 reply-to-group-id=string:rg | application-properties {string:s=string:v,string:i=int:-5,string:b=bool:true} | ' +
    'data %00%ff | footer {string:f=string:x}'],
  ['message-batch', { message_annotations: { 'x-opt-partition-key': 'pk' }, body: message.data_sections([event(1), event(2)]) },
    `message-annotations {symbol:x-opt-partition-key=string:pk} | batch (${eventText(1)}) (${eventText(2)})`],
];
for (const [name, content, meaning] of messages) add(name, 'message', message.encode(content).toString('hex'), meaning);

writeFileSync(new URL('rhea.txt', import.meta.url),
  '# Made by make_rhea.mjs with rhea 3.0.5: name, kind, bytes, meaning. Not to be edited.\n' + lines.join('\n') + '\n');

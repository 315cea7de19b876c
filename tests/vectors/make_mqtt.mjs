// Writes mqtt.txt and websocket.txt: bytes made by encoders that are not ours (mqtt-packet, which is
// what mqtt.js and so Azure's Node SDKs use; the sender of ws), with what was put in.
//
// Only needed to make the files anew:
//   npm install --prefix /some/where mqtt-packet@9.0.2 ws@8.23.0
//   NODE_PATH=/some/where/node_modules node make_mqtt.mjs
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_PATH + '/');
const mqtt = require('mqtt-packet');
const { Sender } = require('ws');

// Printable ASCII but '%' as it is, other bytes as %XX, so that a line is fields split by blanks.
const text = (value) =>
  [...Buffer.from(value)]
    .map((b) => (b > 0x20 && b < 0x7f && b !== 0x25 ? String.fromCharCode(b)
      : '%' + b.toString(16).toUpperCase().padStart(2, '0')))
    .join('');
// A long payload is all x, and written as its length.
const kLong = 1000;
const payloadText = (p) => (p.length > kLong ? `x*${p.length}` : text(p));
const bytesText = (p) => {
  const hex = mqtt.generate(p).toString('hex');
  const length = p.payload?.length ?? 0;
  return length > kLong ? `${hex.slice(0, -2 * length)}+${length}` : hex;
};
const bit = (value) => (value ? 1 : 0);

const hub = 'localhost/dev-1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20.20.0)';
const sas = 'SharedAccessSignature sr=localhost%2Fdevices%2Fdev-1&sig=abc%3D&se=1800000000';
const dps = '0ne00000001/registrations/dev-1/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1';

const connect = (name, more) => ({
  name, sender: 'client',
  packet: { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 180,
    clientId: 'dev-1', ...more },
});
const publish = (name, more, sender = 'client') => ({
  name, sender, packet: { cmd: 'publish', qos: 0, dup: false, retain: false, payload: '', ...more },
});
const ack = (cmd, sender, messageId) => ({ name: cmd, sender, packet: { cmd, messageId } });

const cases = [
  connect('dps-symmetric-key', { username: dps, password: sas }),
  connect('dps-x509', { username: dps }),
  connect('hub-persistent', { clean: false, username: hub, password: sas }),
  connect('keep-alive-off', { keepalive: 0, username: 'u' }),
  connect('keep-alive-longest', { keepalive: 65535, username: 'u' }),
  connect('anonymous-empty-id', { clientId: '' }),
  connect('will', { username: hub, password: sas,
    will: { topic: 'devices/dev-1/messages/events/', payload: 'gone', qos: 1, retain: false } }),
  connect('will-binary-retained', { will: { topic: 'w', payload: Buffer.from([0, 255, 1]), qos: 2, retain: true } }),
  connect('module', { clientId: 'dev-1/mod', clean: false, username: 'localhost/dev-1/mod/?api-version=2021-04-12', password: sas }),
  connect('utf8', { clientId: 'gr\u00fc\u00df-\u{1F600}', username: '\u20ac' }),
  publish('telemetry', { qos: 1, messageId: 1, topic: 'devices/dev-1/messages/events/%24.mid=m-0&%24.ct=application%2Fjson&seq=0', payload: '{"Temperature":22.75}' }),
  publish('telemetry-again', { qos: 1, dup: true, messageId: 65535, topic: 'devices/dev-1/messages/events/', payload: 'x' }),
  publish('twin-get', { topic: '$iothub/twin/GET/?$rid=1', payload: ' ' }),
  publish('method-reply-empty', { topic: '$iothub/methods/res/200/?$rid=1' }),
  publish('retained', { retain: true, topic: 'a/b', payload: 'r' }),
  publish('exactly-once', { qos: 2, messageId: 5, topic: 'a', payload: 'b' }),
  publish('binary', { topic: 't', payload: Buffer.from([...Array(256).keys()]) }),
  ...[120, 124, 125, 126, 16379, 16380, 16381, 16382].map((size) =>
    publish('length-' + size, { topic: 't', payload: 'x'.repeat(size) })),
  publish('dps-register', { qos: 1, messageId: 2, topic: '$dps/registrations/PUT/iotdps-register/?$rid=1', payload: '{"registrationId":"dev-1"}' }),
  publish('from-server', { qos: 1, messageId: 9, topic: 'devices/dev-1/messages/devicebound/%24.mid=1', payload: 'hello' }, 'server'),
  ack('puback', 'client', 1), ack('pubrec', 'client', 256), ack('pubrel', 'client', 65535), ack('pubcomp', 'client', 2),
  ack('unsuback', 'server', 7),
  { name: 'subscribe', sender: 'client', packet: { cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: '$dps/registrations/res/#', qos: 1 }] } },
  { name: 'subscribe-many', sender: 'client', packet: { cmd: 'subscribe', messageId: 4, subscriptions: [
    { topic: 'a/+/b', qos: 0 }, { topic: '#', qos: 2 }, { topic: '$iothub/twin/res/#', qos: 0 }] } },
  { name: 'suback', sender: 'server', packet: { cmd: 'suback', messageId: 4, granted: [0, 1, 2, 128] } },
  { name: 'unsubscribe', sender: 'client', packet: { cmd: 'unsubscribe', messageId: 6, unsubscriptions: ['a/#', 'b'] } },
  ...[0, 1, 2, 3, 4, 5].map((returnCode) => ({ name: 'connack-' + returnCode, sender: 'server',
    packet: { cmd: 'connack', returnCode, sessionPresent: false } })),
  { name: 'connack-session', sender: 'server', packet: { cmd: 'connack', returnCode: 0, sessionPresent: true } },
  { name: 'pingreq', sender: 'client', packet: { cmd: 'pingreq' } },
  { name: 'pingresp', sender: 'server', packet: { cmd: 'pingresp' } },
  { name: 'disconnect', sender: 'client', packet: { cmd: 'disconnect' } },
];

const describe = (p) => {
  switch (p.cmd) {
    case 'connect':
      return [`level=${p.protocolVersion}`, `protocol=${p.protocolId}`, `clean=${bit(p.clean)}`,
        `keep_alive=${p.keepalive}`, `client=${text(p.clientId)}`,
        ...(p.will ? [`will=${text(p.will.topic)}`, `will_payload=${text(p.will.payload)}`,
          `will_qos=${p.will.qos}`, `will_retain=${bit(p.will.retain)}`] : []),
        ...(p.username !== undefined ? [`user=${text(p.username)}`] : []),
        ...(p.password !== undefined ? [`password=${text(p.password)}`] : [])];
    case 'publish':
      return [`qos=${p.qos}`, `dup=${bit(p.dup)}`, `retain=${bit(p.retain)}`,
        `id=${p.messageId ?? 0}`, `topic=${text(p.topic)}`, `payload=${payloadText(p.payload)}`];
    case 'subscribe':
      return [`id=${p.messageId}`, ...p.subscriptions.map((s) => `filter=${text(s.topic)},${s.qos}`)];
    case 'suback':
      return [`id=${p.messageId}`, ...p.granted.map((code) => `code=${code}`)];
    case 'unsubscribe':
      return [`id=${p.messageId}`, ...p.unsubscriptions.map((t) => `topic=${text(t)}`)];
    case 'connack':
      return [`code=${p.returnCode}`, `session=${bit(p.sessionPresent)}`];
    case 'pingreq': case 'pingresp': case 'disconnect':
      return [];
    default:
      return [`id=${p.messageId}`];
  }
};

const mqttLines = cases.map(({ name, sender, packet }) =>
  [name, sender, bytesText(packet), [packet.cmd, ...describe(packet)].join(' ')].join('\t'));
writeFileSync(new URL('mqtt.txt', import.meta.url),
  '# Made by make_mqtt.mjs with mqtt-packet: name, sender, bytes, what they say. Tabs between.\n' +
  '# "+16380" behind bytes: so many x follow.\n' +
  mqttLines.join('\n') + '\n');

const opcodes = { binary: 2, close: 8, ping: 9, pong: 10 };
const frames = [];
for (const mask of [false, true]) {
  for (const [kind, size] of [['binary', 0], ['binary', 1], ['binary', 125], ['binary', 126],
    ['binary', 65535], ['binary', 65536], ['ping', 0], ['ping', 125], ['pong', 4]]) {
    const data = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 255));
    const list = Sender.frame(Buffer.from(data), { opcode: opcodes[kind], fin: true, mask, readOnly: false,
      rsv1: false, maskBuffer: Buffer.alloc(4), generateMask: (key) => Buffer.from('a1b2c3d4', 'hex').copy(key) });
    const hex = Buffer.concat(list).toString('hex');
    frames.push([kind, mask ? 'client' : 'server', size, size > 200 ? hex.slice(0, 64) : hex].join('\t'));
  }
}
writeFileSync(new URL('websocket.txt', import.meta.url),
  '# Made by make_mqtt.mjs with the sender of ws: kind, sender, size, bytes (only the first 32 of a long\n' +
  '# frame). Byte i of a payload is (7 i + size) mod 256; the mask is a1b2c3d4.\n' +
  frames.join('\n') + '\n');

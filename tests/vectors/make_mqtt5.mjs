// Writes mqtt5.txt: bytes of MQTT 5 packets made by an encoder that is not ours (mqtt-packet), with
// what was put in.
//
// Only needed to make the file anew:
//   npm install --prefix /some/where mqtt-packet@6.10.0
//   NODE_PATH=/some/where/node_modules node make_mqtt5.mjs
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_PATH + '/');
const mqtt = require('mqtt-packet');

// Printable ASCII but '%' as it is, other bytes as %XX, so that a line is fields split by blanks.
const text = (value) =>
  [...Buffer.from(value)]
    .map((b) => (b > 0x20 && b < 0x7f && b !== 0x25 ? String.fromCharCode(b)
      : '%' + b.toString(16).toUpperCase().padStart(2, '0')))
    .join('');
const bit = (value) => (value ? 1 : 0);

// Identifiers of table 2-4 of the specification.
const ids = {
  payloadFormatIndicator: 1, messageExpiryInterval: 2, contentType: 3, responseTopic: 8,
  correlationData: 9, subscriptionIdentifier: 11, sessionExpiryInterval: 17,
  assignedClientIdentifier: 18, serverKeepAlive: 19, authenticationMethod: 21,
  authenticationData: 22, requestProblemInformation: 23, willDelayInterval: 24,
  requestResponseInformation: 25, responseInformation: 26, serverReference: 28, reasonString: 31,
  receiveMaximum: 33, topicAliasMaximum: 34, topicAlias: 35, maximumQoS: 36, retainAvailable: 37,
  userProperties: 38, maximumPacketSize: 39, wildcardSubscriptionAvailable: 40,
  subscriptionIdentifiersAvailable: 41, sharedSubscriptionAvailable: 42,
};
const properties = (all, prefix = 'p') =>
  Object.entries(all ?? {}).flatMap(([name, value]) => {
    if (name === 'userProperties') {
      return Object.entries(value).flatMap(([k, v]) =>
        [v].flat().map((each) => `${prefix}38=${text(k)}:${text(each)}`));
    }
    if (typeof value === 'boolean') value = bit(value);
    return [`${prefix}${ids[name]}=${typeof value === 'number' ? value : text(value)}`];
  });

const client = (name, packet) => ({ name, sender: 'client', packet: { protocolVersion: 5, ...packet } });
const server = (name, packet) => ({ name, sender: 'server', packet: { protocolVersion: 5, ...packet } });
const connect = (name, more) => client(name, {
  cmd: 'connect', protocolId: 'MQTT', clean: true, keepalive: 60, clientId: 'dev-1', ...more });
const user = { userProperties: { a: 'b', '': 'x', 'name \u00fc': ['1', '2'] } };
const message = { payloadFormatIndicator: true, messageExpiryInterval: 4294967295,
  contentType: 'application/json', responseTopic: 'a/b', correlationData: Buffer.from([0, 255]), ...user };

const cases = [
  connect('connect-bare'),
  connect('connect-no-id', { clientId: '', username: 'u', password: 'p' }),
  connect('connect-all', { clean: false, username: 'localhost/dev-1/?api-version=2021-04-12', password: 'SharedAccessSignature',
    properties: { sessionExpiryInterval: 4294967295, receiveMaximum: 20, maximumPacketSize: 4096, topicAliasMaximum: 10,
      requestResponseInformation: true, requestProblemInformation: false, ...user } }),
  connect('connect-auth', { properties: { authenticationMethod: 'SCRAM', authenticationData: Buffer.from([1, 2, 3]) } }),
  connect('connect-will', { username: 'u', will: { topic: 't', payload: 'gone', qos: 1, retain: false,
    properties: { willDelayInterval: 30, ...message } } }),
  connect('connect-will-bare', { will: { topic: 't', payload: '', qos: 0, retain: true } }),
  server('connack-bare', { cmd: 'connack', reasonCode: 0, sessionPresent: true }),
  server('connack-refused', { cmd: 'connack', reasonCode: 0x87, sessionPresent: false, properties: { reasonString: 'no' } }),
  server('connack-all', { cmd: 'connack', reasonCode: 0, sessionPresent: false,
    properties: { sessionExpiryInterval: 0, receiveMaximum: 512, maximumQoS: 1, retainAvailable: false, maximumPacketSize: 327743,
      assignedClientIdentifier: 'dev-1', topicAliasMaximum: 16, reasonString: 'ok', ...user,
      wildcardSubscriptionAvailable: true, subscriptionIdentifiersAvailable: false, sharedSubscriptionAvailable: false,
      serverKeepAlive: 1178, responseInformation: 'r', serverReference: 's', authenticationMethod: 'm',
      authenticationData: Buffer.from([9]) } }),
  client('publish-bare', { cmd: 'publish', qos: 0, dup: false, retain: false, topic: 'a', payload: 'b' }),
  client('publish-all', { cmd: 'publish', qos: 1, dup: true, retain: true, messageId: 7, topic: 'a', payload: '{}', properties: message }),
  client('publish-alias', { cmd: 'publish', qos: 1, dup: false, retain: false, messageId: 8, topic: 'a/b', payload: '', properties: { topicAlias: 1 } }),
  client('publish-alias-only', { cmd: 'publish', qos: 0, dup: false, retain: false, topic: '', payload: 'x', properties: { topicAlias: 1 } }),
  client('publish-long-properties', { cmd: 'publish', qos: 0, dup: false, retain: false, topic: 't', payload: 'x',
    properties: { userProperties: { k: 'v'.repeat(200) } } }),
  server('publish-subscription', { cmd: 'publish', qos: 0, dup: false, retain: false, topic: 't', payload: '', properties: { subscriptionIdentifier: 268435455 } }),
  ...['puback', 'pubrec'].flatMap((cmd) => [
    client(cmd + '-ok', { cmd, messageId: 1, reasonCode: 0 }),
    client(cmd + '-refused', { cmd, messageId: 2, reasonCode: 0x97, properties: { reasonString: 'full', ...user } })]),
  ...['pubrel', 'pubcomp'].map((cmd) => client(cmd + '-unknown', { cmd, messageId: 3, reasonCode: 0x92, properties: { reasonString: '?' } })),
  client('subscribe-bare', { cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: '$dps/registrations/res/#', qos: 1 }] }),
  client('subscribe-all', { cmd: 'subscribe', messageId: 4, properties: { subscriptionIdentifier: 145, ...user },
    subscriptions: [{ topic: 'a/+', qos: 0, nl: true, rap: false, rh: 1 }, { topic: '#', qos: 2, nl: false, rap: true, rh: 2 }] }),
  server('suback', { cmd: 'suback', messageId: 4, granted: [0, 1, 2, 0x8f, 0x9e], properties: { reasonString: 'r', ...user } }),
  server('suback-bare', { cmd: 'suback', messageId: 4, granted: [1] }),
  client('unsubscribe', { cmd: 'unsubscribe', messageId: 6, unsubscriptions: ['a/#', 'b'], properties: { ...user } }),
  server('unsuback', { cmd: 'unsuback', messageId: 6, granted: [0, 0x11], properties: { reasonString: 'r' } }),
  client('pingreq', { cmd: 'pingreq' }),
  server('pingresp', { cmd: 'pingresp' }),
  client('disconnect-with-will', { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 60 } }),
  server('disconnect-taken-over', { cmd: 'disconnect', reasonCode: 0x8e, properties: { reasonString: 'r', serverReference: 'x', ...user } }),
  client('auth', { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm', authenticationData: Buffer.from([0]), ...user } }),
];

const describe = (p) => {
  const all = properties(p.properties);
  switch (p.cmd) {
    case 'connect':
      return [`clean=${bit(p.clean)}`, `keep_alive=${p.keepalive}`, `client=${text(p.clientId)}`,
        ...(p.will ? [`will=${text(p.will.topic)}`, `will_payload=${text(p.will.payload)}`,
          `will_qos=${p.will.qos}`, `will_retain=${bit(p.will.retain)}`, ...properties(p.will.properties, 'w')] : []),
        ...(p.username !== undefined ? [`user=${text(p.username)}`] : []),
        ...(p.password !== undefined ? [`password=${text(p.password)}`] : []), ...all];
    case 'publish':
      return [`qos=${p.qos}`, `dup=${bit(p.dup)}`, `retain=${bit(p.retain)}`, `id=${p.messageId ?? 0}`,
        `topic=${text(p.topic)}`, `payload=${text(p.payload)}`, ...all];
    case 'subscribe':
      return [`id=${p.messageId}`, ...p.subscriptions.map((s) =>
        `filter=${text(s.topic)},${s.qos},${bit(s.nl)},${bit(s.rap)},${s.rh ?? 0}`), ...all];
    case 'suback': case 'unsuback':
      return [`id=${p.messageId}`, ...p.granted.map((code) => `code=${code}`), ...all];
    case 'unsubscribe':
      return [`id=${p.messageId}`, ...p.unsubscriptions.map((t) => `topic=${text(t)}`), ...all];
    case 'connack':
      return [`reason=${p.reasonCode}`, `session=${bit(p.sessionPresent)}`, ...all];
    case 'pingreq': case 'pingresp':
      return [];
    case 'disconnect': case 'auth':
      return [`reason=${p.reasonCode}`, ...all];
    default:
      return [`id=${p.messageId}`, `reason=${p.reasonCode}`, ...all];
  }
};

writeFileSync(new URL('mqtt5.txt', import.meta.url),
  '# Made by make_mqtt5.mjs with mqtt-packet: name, sender, bytes, what they say. Tabs between.\n' +
  cases.map(({ name, sender, packet }) => [name, sender, mqtt.generate(packet, { protocolVersion: 5 }).toString('hex'),
    [packet.cmd, ...describe(packet)].join(' ')].join('\t')).join('\n') + '\n');

// node read_rhea.mjs   (NODE_PATH: a node_modules with rhea)   - rhea reads what Doppel writes (doppel.txt), and it means the same
// to it as what rhea or Proton wrote for it. One check: the last line is "1 passed, 0 failed".
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_PATH + '/');
const types = require('rhea/lib/types.js');

// Fields that mean the same absent and with this value: descriptor, field, value (OASIS AMQP 1.0 parts 2 and 3).
const defaults = new Map([
  [0x10, { 2: 4294967295, 3: 65535 }], [0x11, { 4: 4294967295 }], [0x12, { 3: 2, 4: 0, 8: false }], [0x13, { 8: false, 9: false }],
  [0x14, { 5: false, 8: false, 9: false, 10: false }], [0x15, { 3: false, 5: false }], [0x16, { 1: false }],
  [0x28, { 1: 0, 2: 'session-end', 3: 0, 4: false }], [0x29, { 1: 0, 2: 'session-end', 3: 0, 4: false }],
  [0x70, { 0: false, 1: 4, 3: false, 4: 0 }],
]);
const families = { Ubyte: 'ubyte', Ushort: 'ushort', Uint: 'uint', SmallUint: 'uint', Uint0: 'uint', Ulong: 'ulong', SmallUlong: 'ulong', Ulong0: 'ulong', Byte: 'byte',
  Short: 'short', Int: 'int', SmallInt: 'int', Long: 'long', SmallLong: 'long', True: 'boolean', False: 'boolean', Boolean: 'boolean' };
const family = (name) => families[name] ?? name.replace(/(8|32|0)$/, '').replace(/UTF$/, '');

// One writing for all encodings of the same value.
const plain = (typed, field) => {
  if (Buffer.isBuffer(typed)) return `0x${typed.toString('hex')}`;
  if (typed === null || typed === undefined || typed.type?.name === 'Null') return null;
  if (!typed.type) return typed.valueOf();
  const name = family(typed.type.name); let value = typed.value;
  if (name === 'boolean') value = typed.type.name === 'Boolean' ? Boolean(value) : typed.type.name === 'True';
  else if (name === 'Array') {
    const items = value.map((v) => plain(v));
    // A field that may hold several values may hold one as it is, and Proton writes a list into some.
    if (field) return items.length === 1 ? items[0] : { List: items };
    return { array: items };
  } else if (Array.isArray(value)) value = typed.descriptor ? fields(Number(typed.descriptor.value), value) : value.map((v) => plain(v));
  else if (Buffer.isBuffer(value)) value = `0x${value.toString('hex')}`;
  else if (typeof value === 'number' && Number.isNaN(value)) value = 'NaN';
  else if (Object.is(value, -0)) value = '-0';
  return typed.descriptor ? { descriptor: plain(typed.descriptor), [name]: value } : { [name]: value };
};
const fields = (descriptor, list) => {
  const known = defaults.get(descriptor);
  const all = list.map((v, i) => {
    const one = plain(v, true); const value = one && typeof one === 'object' ? Object.values(one)[0] : one;
    return known && i in known && value === known[i] ? null : one;
  });
  while (all.length && all.at(-1) === null) all.pop();
  return all;
};

const readAll = (hex, kind) => {
  const reader = new types.Reader(Buffer.from(hex, 'hex')); const found = [];
  do { found.push(plain(reader.read())); } while (kind === 'message' && reader.remaining());
  if (kind === 'value' && reader.remaining()) found.push('and more');
  if (kind === 'message') found.sort((a, b) => a.descriptor.ulong - b.descriptor.ulong); // rhea writes the footer before the body
  return JSON.stringify(found);
};

let passed = 0, failed = 0;
for (const line of readFileSync(new URL('doppel.txt', import.meta.url), 'utf8').split('\n')) {
  if (!line || line.startsWith('#')) continue;
  const [name, kind, ours, theirs] = line.split('\t');
  let text;
  try { const [a, b] = [readAll(ours, kind), readAll(theirs, kind)]; text = a === b ? undefined : `${a.slice(0, 300)} instead of ${b.slice(0, 300)}`; } catch (x) { text = String(x); }
  if (text === undefined) passed++; else { failed++; console.log(`  not ok - rhea reads ${name}: ${text}`); }
}
const isFine = passed > 0 && failed === 0; // one check, so that totals are not of vectors
console.log(`  ${isFine ? 'ok' : 'not ok'} - rhea reads ${passed} of ${passed + failed} as it reads its own`);
console.log(isFine ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exit(isFine ? 0 : 1);

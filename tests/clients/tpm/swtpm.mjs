// A TPM 2.0 for one test: an swtpm process with a state directory of its own, and the SDK's TPM classes on top of it.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../acceptance/lib.mjs', import.meta.url));
const tss = require('tss.js');
const { TpmSecurityClient } = require('azure-iot-security-tpm');

const kHeaderSize = 10; // tag, size, response code
const kStartMs = 10000;

// What tss.js calls a device: its own ones speak to /dev/tpm0 or to Microsoft's simulator, which frames commands in another way
// than swtpm, whose socket takes them as they are.
class SwtpmDevice {
  constructor(socketPath) { this.path = socketPath; this.pending = []; this.received = Buffer.alloc(0); }
  connect(then) {
    if (this.socket) { setImmediate(then, null); return null; } // another client of the same TPM
    this.socket = net.connect(this.path, () => setImmediate(then, null));
    this.socket.on('error', (e) => { const f = this.pending.shift(); if (f) f(e, null); else then(e); });
    this.socket.on('data', (d) => this.take(d));
    return null;
  }
  take(data) {
    this.received = Buffer.concat([this.received, data]);
    while (this.received.length >= kHeaderSize) {
      const size = this.received.readUInt32BE(2);
      if (this.received.length < size) return;
      const answer = this.received.subarray(0, size);
      this.received = this.received.subarray(size);
      this.pending.shift()(null, Buffer.from(answer));
    }
  }
  dispatchCommand(command, then) { this.pending.push((e, a) => setImmediate(then, e, a)); this.socket.write(command); }
  close() { this.socket.destroy(); }
}

export class Swtpm {
  // Starts one with fresh keys.
  static async start() {
    const tpm = new Swtpm();
    tpm.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'doppel-swtpm-'));
    tpm.socketPath = path.join(tpm.dir, 'data');
    tpm.process = spawn('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${tpm.dir}`, '--server', `type=unixio,path=${tpm.socketPath}`,
      '--ctrl', `type=unixio,path=${tpm.dir}/ctrl`, '--flags', 'not-need-init,startup-clear'], { stdio: 'ignore' });
    const ended = new Promise((_, no) => tpm.process.once('exit', (code) => no(new Error(`swtpm ended with status ${code}`))));
    ended.catch(() => {});
    const appeared = new Promise((yes, no) => {
      const look = () => { if (fs.existsSync(tpm.socketPath)) { watcher.close(); clearTimeout(limit); yes(); } };
      const watcher = fs.watch(tpm.dir, look);
      const limit = setTimeout(() => { watcher.close(); no(new Error('swtpm does not start')); }, kStartMs);
      look();
    });
    await Promise.race([appeared, ended]);
    const raw = new tss.Tpm(true);
    raw.device = new SwtpmDevice(tpm.socketPath);
    tpm.raw = raw;
    return tpm;
  }
  // The SDK's security client; without an ID it takes the one that follows from the endorsement key. All clients of one TPM share
  // its connection: swtpm has one at a time.
  client(registrationId) { return new TpmSecurityClient(registrationId, this.raw); }
  stop() {
    try { this.raw.device.close(); } catch { /* was never connected */ }
    this.process.kill();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

// The SDK's methods with callbacks, as promises.
export const call = (object, method, ...args) =>
  new Promise((yes, no) => object[method](...args, (e, result) => (e ? no(e) : yes(result))));

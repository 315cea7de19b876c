// A device that registers with a signing request lives on its hub with the certificate it is given
// (preview clients do this; the released Node packages cannot, so the register call is made by hand).
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { scenario, cfg, id, newKey, derive, dpsService, registry, openDevice, Message, ok, eq, fails, close } from '../lib.mjs';

const version = '2025-07-01-preview';
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'issued-'));

// A key and its signing request, made by the openssl command as firmware would.
function request(name) {
  const key = path.join(dir, name + '.key'), csr = path.join(dir, name + '.csr');
  execFileSync(cfg.openssl, ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-outform', 'DER',
    '-out', csr, '-subj', `/CN=${name}`], { stdio: 'ignore' });
  return { key: fs.readFileSync(key, 'utf8'), csr: fs.readFileSync(csr).toString('base64') };
}

function register(regId, key, body) {
  const resource = encodeURIComponent(`${cfg.idScope}/registrations/${regId}`);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const sig = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = https.request({
      host: cfg.dpsHost, port: 443, method: 'PUT', path: `/${cfg.idScope}/registrations/${regId}/register?api-version=${version}`,
      headers: {
        'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text),
        Authorization: `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(sig)}&se=${expiry}&skn=registration`,
      },
    }, (res) => {
      let got = '';
      res.on('data', (part) => { got += part; });
      res.on('end', () => resolve({ status: res.statusCode, body: JSON.parse(got) }));
    });
    call.on('error', reject);
    call.end(text);
  });
}

const pem = (b64) => `-----BEGIN CERTIFICATE-----\n${b64.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;

await scenario('a certificate for a signing request', async (t) => {
  const svc = dpsService(), group = id('issued'), master = newKey(), device = id('csr-1');
  await svc.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: group, provisioningStatus: 'enabled', credentialPolicyName: 'default',
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: master, secondaryKey: newKey() } },
  });
  t.cleanup(() => svc.deleteEnrollmentGroup(group));
  t.cleanup(() => registry().delete(device));
  const key = derive(master, device);
  let chain, hub, mine;
  await t.step('is issued with the registration', async () => {
    mine = request(device);
    const { status, body } = await register(device, key, { registrationId: device, csr: mine.csr });
    eq([status, body.status], [200, 'assigned'], 'answer');
    chain = body.registrationState.issuedCertificateChain;
    hub = body.registrationState.assignedHub;
    ok(chain.length === 2, 'leaf and issuer');
    const leaf = new crypto.X509Certificate(pem(chain[0])), issuer = new crypto.X509Certificate(pem(chain[1]));
    eq(leaf.subject, `CN=${device}`, 'subject');
    ok(leaf.verify(issuer.publicKey) && leaf.checkPrivateKey(crypto.createPrivateKey(mine.key)), 'signed by the issuer, for our key');
  });
  const live = async (transport, certificates, own) => {
    const c = await openDevice(transport, { hub, deviceId: device, x509: { cert: certificates.map(pem).join(''), key: own.key } });
    await c.sendEvent(new Message('{"issued":true}'));
    await close(c);
  };
  for (const tr of cfg.transports) await t.step(`opens the hub over ${tr}`, () => live(tr, chain, mine));
  await t.step('opens it without the issuer beside it', () => live('mqtt', chain.slice(0, 1), mine));
  await t.step('the device\'s key opens it no more', () =>
    fails(openDevice('mqtt', { hub, deviceId: device, key }), /Unauthorized|not authorized/i, 'key'));
  await t.step('is renewed by registering again', async () => {
    const next = request(device);
    const { body } = await register(device, key, { csr: next.csr });
    ok(body.registrationState.issuedCertificateChain[0] !== chain[0], 'another certificate');
    await live('mqtt', body.registrationState.issuedCertificateChain, next);
  });
  await t.step('is refused for another name', async () => {
    const { status, body } = await register(device, key, { csr: request(id('csr-2')).csr });
    eq([status, body.errorCode], [400, 400000], 'answer');
  });
});
fs.rmSync(dir, { recursive: true });

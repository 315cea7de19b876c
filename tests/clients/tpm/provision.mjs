// TPM attestation as the unmodified Node SDK does it, the TPM an swtpm: the challenge, the registration, and the hub with the key
// that came in the second blob. Over HTTPS, AMQP and AMQP over WebSocket; no SDK offers it over MQTT.
import https from 'node:https';
import { createRequire } from 'node:module';
import { scenario, id, cfg, dpsService, registry, ok, eq, fails, close } from '../acceptance/lib.mjs';
import { Swtpm, call } from './swtpm.mjs';

const require = createRequire(new URL('../acceptance/lib.mjs', import.meta.url));
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { TpmAuthenticationProvider } = require('azure-iot-security-tpm');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const common = require('azure-iot-common');
const amqp = require('azure-iot-provisioning-device-amqp');
const transports = {
  http: () => new (require('azure-iot-provisioning-device-http').Http)(),
  amqp: () => new amqp.Amqp(),
  'amqp-ws': () => new amqp.AmqpWs(),
};
const wanted = (process.env.TPM_TRANSPORTS || 'http,amqp,amqp-ws').split(',');

// For a TPM the SDK hands out the whole status of the operation, for others the registration's state.
const provision = async (transport, security, scope = cfg.idScope) =>
  (await ProvisioningDeviceClient.create(cfg.dpsHost, scope, transports[transport](), security).register()).registrationState;
const enroll = (registrationId, endorsementKey, more = {}) => dpsService().createOrUpdateIndividualEnrollment({
  registrationId, provisioningStatus: 'enabled',
  attestation: { type: 'tpm', tpm: { endorsementKey: endorsementKey.toString('base64') } }, ...more,
});

// The device's life on its hub: the token is signed by the key that the TPM holds.
async function useHub(security, assigned) {
  const provider = TpmAuthenticationProvider.fromTpmSecurityClient(assigned.deviceId, assigned.assignedHub, security);
  const device = Client.fromAuthenticationProvider(provider, Mqtt);
  device.setRetryPolicy(new common.NoRetry());
  device.on('error', () => {});
  try {
    await device.open();
    await device.sendEvent(new Message('{"tpm":true}'));
  } finally {
    await close(device);
    provider.stop();
  }
}

// One request as the SDK's transport makes it, for what the SDK never does. The preload maps the port.
const request = (method, path, body, authorization) => new Promise((yes, no) => {
  const r = https.request({
    host: cfg.dpsHost, method, path: `/${cfg.idScope}/registrations/${path}api-version=2019-03-31`,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...(authorization ? { Authorization: authorization } : {}) },
  }, (response) => {
    let text = '';
    response.on('data', (d) => { text += d; });
    response.on('end', () => yes({ status: response.statusCode, body: JSON.parse(text || '{}') }));
  });
  r.on('error', no);
  r.end(body ? JSON.stringify(body) : undefined);
});
const signed = async (security, registrationId, keyName = 'registration') => {
  const sr = `${cfg.idScope}/registrations/${registrationId}`, se = Math.floor(Date.now() / 1000) + 600;
  const signature = await call(security, 'signWithIdentity', Buffer.from(`${sr}\n${se}`));
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature.toString('base64'))}&skn=${keyName}&se=${se}`;
};

await scenario('TPM attestation with swtpm', async (t) => {
  const svc = dpsService();
  const tpms = [await Swtpm.start(), await Swtpm.start()];
  process.on('exit', () => tpms.forEach((tpm) => tpm.stop()));
  const security = tpms[0].client(id('tpm'));
  const endorsementKey = await call(security, 'getEndorsementKey');
  const storageRootKey = await call(security, 'getStorageRootKey');
  const keys = { endorsementKey: endorsementKey.toString('base64'), storageRootKey: storageRootKey.toString('base64') };
  const other = tpms[1].client(id('tpm'));
  const forget = (r) => t.cleanup(async () => { await svc.deleteIndividualEnrollment(r); await registry().delete(r); });

  await t.step('an enrollment with the endorsement key can be made', () => enroll(id('tpm'), endorsementKey));
  forget(id('tpm'));
  let hub;
  for (const transport of wanted) {
    await t.step(`provisions over ${transport}`, async () => {
      hub = await provision(transport, security);
      eq([hub.status, hub.deviceId], ['assigned', id('tpm')], 'result');
    });
    await t.step(`the hub takes the key that came over ${transport}`, () => useHub(security, hub));
    await t.step(`provisions again over ${transport}, and the hub still takes the key`, async () => {
      const again = await provision(transport, security);
      eq([again.deviceId, again.assignedHub], [hub.deviceId, hub.assignedHub], 'where it lives');
      await useHub(security, again);
    });
  }
  await t.step('the identity in the hub has a symmetric key that no service client was told of', async () => {
    const { responseBody: device } = await registry().get(id('tpm'));
    eq(device.authentication.type, 'sas', 'authentication');
    ok(device.authentication.symmetricKey.primaryKey.length === 44, 'a key of 32 bytes');
  });

  for (const transport of wanted) {
    await t.step(`a TPM with another endorsement key is refused over ${transport}`, () => fails(provision(transport, other),
      /unauthorized|not\s?authorized|401|NotConnected|sasl|FormatError|blob/i, 'other TPM'));
    const unknown = tpms[0].client(id('nobody'));
    await t.step(`an unknown registration ID is refused over ${transport}`, () => fails(provision(transport, unknown),
      /unauthorized|not\s?authorized|401|NotConnected|sasl|FormatError|blob/i, 'unknown ID'));
  }

  // ---- what the SDK does not do ----
  const me = `${id('tpm')}/`, register = `${me}register?`;
  const body = { registrationId: id('tpm'), tpm: keys };
  let used;
  await t.step('the challenge says what it is', async () => {
    const { status, body: challenge } = await request('PUT', register, body);
    eq([status, challenge.keyName, challenge.message], [401, 'registration', 'Authorization required'], 'challenge');
    ok(/^401\d{3}$/.test(String(challenge.errorCode)) && challenge.trackingId, 'the fields of every error');
    await call(security, 'activateIdentityKey', Buffer.from(challenge.authenticationKey, 'base64'));
  });
  await t.step('a challenge is good for one registration, and its key for polls', async () => {
    used = await signed(security, id('tpm'));
    const first = await request('PUT', register, body, used);
    eq(first.status, 200, 'first');
    ok(first.body.registrationState.tpm.authenticationKey, 'the second blob');
    const polled = await request('GET', `${me}operations/${first.body.operationId}?`, undefined, used);
    eq([polled.status, polled.body.status], [200, 'assigned'], 'poll');
    eq(polled.body.registrationState.tpm.authenticationKey, first.body.registrationState.tpm.authenticationKey, 'same blob');
    const second = await request('PUT', register, body, used);
    eq([second.status, second.body.authenticationKey], [401, undefined], 'second use');
  });
  await t.step('a fresh token by a spent key is refused too', async () => {
    eq((await request('PUT', register, body, await signed(security, id('tpm')))).status, 401, 'spent key');
  });
  await t.step('a token by another key name is refused', async () => {
    const { body: challenge } = await request('PUT', register, body);
    await call(security, 'activateIdentityKey', Buffer.from(challenge.authenticationKey, 'base64'));
    eq((await request('PUT', register, body, await signed(security, id('tpm'), 'owner'))).status, 401, 'key name');
    eq((await request('PUT', register, body, await signed(security, id('tpm')))).status, 200, 'the right one');
  });
  await t.step('an endorsement key that is none is refused with a reason', async () => {
    const message = await fails(enroll(id('bad'), Buffer.from('no key')), /400|argument|BadRequest/i, 'bad key');
    ok(message, 'a message');
  });
  await t.step('a disabled enrollment is told to the TPM only', async () => {
    await enroll(id('tpm'), endorsementKey, { provisioningStatus: 'disabled' });
    await fails(provision(wanted[0], tpms[0].client(id('tpm'))), /disabled/i, 'disabled');
    await enroll(id('tpm'), endorsementKey);
  });
  await t.step('a TPM without a registration ID has the one of its key', async () => {
    const nameless = tpms[0].client();
    const name = await call(nameless, 'getRegistrationId');
    await enroll(name, endorsementKey);
    forget(name);
    const assigned = await provision(wanted[0], nameless);
    eq(assigned.deviceId, name, 'device ID');
    await useHub(nameless, assigned);
  });
});

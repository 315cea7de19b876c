import { scenario, cfg, id, derive, newKey, provisionKey, useGroup, dpsService, fails } from '../lib.mjs';
await scenario('04 refused registrations surface as SDK errors', async (t) => {
  const g = await useGroup('g04');
  t.cleanup(g.drop);
  // The service accepts the MQTT CONNECT and refuses on the response topic (401); an unknown scope is CONNACK 3; over AMQP it closes
  // the connection after OPEN or rejects the transfer (a refusal at SASL would show here as a bare NotConnectedError, one at attach
  // would hang).
  for (const tr of cfg.transports) {
    await t.step(`${tr}: wrong key`, () => {
      const r = id('bad-' + tr);
      return fails(provisionKey(tr, r, derive(newKey(), r)), /unauthorized|not authorized/i, 'wrong key');
    });
    await t.step(`${tr}: unknown ID scope`, () => {
      const r = id('scope-' + tr);
      return fails(provisionKey(tr, r, derive(g.key, r), undefined, '0ne0FFFFFFF'), /unauthorized|not authorized|unavailable|not ?found/i, 'unknown scope');
    });
  }
  if (!cfg.dpsConn) return;
  const svc = dpsService(), regId = id('disabled'), key = newKey();
  await t.step('a disabled individual enrollment can be made', async () => {
    await svc.createOrUpdateIndividualEnrollment({ registrationId: regId, provisioningStatus: 'disabled', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: newKey() } } });
    t.cleanup(() => svc.deleteIndividualEnrollment(regId));
  });
  // What Azure answers to a disabled enrollment is not known for sure: status "disabled" (preferred here) or 401; both pass.
  for (const tr of ['mqtt', 'http', 'amqp'].filter((x) => cfg.transports.includes(x))) await t.step(`${tr}: disabled enrollment`, () => fails(provisionKey(tr, regId, key), /unauthorized|disabled|not ?found|registration ?failed|forbidden/i, 'disabled'));
  await t.step('an individual enrollment hides the group', async () => {
    // the group key would do, but an individual enrollment with this registration ID wins and it is disabled
    return fails(provisionKey('mqtt', regId, derive(g.key, regId)), /unauthorized|disabled|not ?found|registration ?failed|forbidden/i, 'group key');
  });
});

import { scenario, id, chain, provisionX509, openDevice, Message, dpsService, registry, eq, fails, close } from '../lib.mjs';
await scenario('02 provision by X.509, individual and group', async (t) => {
  const svc = dpsService();
  const kinds = ['mqtt', 'http', 'amqp'];
  const ind = kinds.map((k) => id('xi-' + k)), grp = kinds.map((k) => id('xg-' + k));
  const pki = chain(...ind, ...grp);
  for (const r of [...ind, ...grp]) t.cleanup(() => registry().delete(r));
  for (const [i, tr] of kinds.entries()) await t.step(`individual over ${tr}`, async () => {
    const x = pki[ind[i]];
    await svc.createOrUpdateIndividualEnrollment({
      registrationId: ind[i], provisioningStatus: 'enabled',
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: x.leaf } } } },
    });
    t.cleanup(() => svc.deleteIndividualEnrollment(ind[i]));
    const r = await provisionX509(tr, ind[i], x);
    eq([r.status, r.deviceId], ['assigned', ind[i]], 'result');
    x.hub = r.assignedHub;
  });
  // Azure would also want the root (or this intermediate) uploaded to the DPS resource and verified. Here the server is expected to
  // trust the certificate because somebody with the right to write enrollments put it on the group;
  // against a server that insists on verification, verify the root first or expect the group steps to be refused.
  await t.step('group enrollment signed by an intermediate can be made', async () => {
    await svc.createOrUpdateEnrollmentGroup({
      enrollmentGroupId: id('xgroup'), provisioningStatus: 'enabled',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: pki.inter } } } },
    });
    t.cleanup(() => svc.deleteEnrollmentGroup(id('xgroup')));
  });
  for (const [i, tr] of kinds.entries()) await t.step(`group over ${tr}`, async () => {
    const r = await provisionX509(tr, grp[i], pki[grp[i]]);
    eq([r.status, r.deviceId], ['assigned', grp[i]], 'result');
    pki[grp[i]].hub = r.assignedHub;
  });
  await t.step('registration ID must equal the CN of the group leaf', () =>
    fails(provisionX509('mqtt', id('xg-other'), pki[grp[0]]), /unauthorized|argument|badrequest|400|401/i, 'other name'));
  for (const tr of ['mqtt', 'amqp', 'http']) await t.step(`the provisioned device talks to its hub over ${tr} with the same certificate`, async () => {
    const x = pki[ind[kinds.indexOf(tr)]];
    const c = await openDevice(tr, { hub: x.hub, deviceId: ind[kinds.indexOf(tr)], x509: x });
    await c.sendEvent(new Message('{"x509":true}'));
    await close(c);
  });
});

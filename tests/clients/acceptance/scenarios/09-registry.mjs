import { scenario, id, registry, newKey, eq, ok, fails, openDevice, hubHost, until, close } from '../lib.mjs';
await scenario('09 IoT Hub identity registry and twins', async (t) => {
  const reg = registry(), a = id('reg-a'), bulk = [1, 2, 3, 4, 5].map((n) => id('reg-b' + n)), tag = id('tag');
  const body = async (p) => (await p).responseBody;
  t.cleanup(() => reg.removeDevices([a, ...bulk].map((deviceId) => ({ deviceId })), true));
  await t.step('create makes keys, generation and etag', async () => {
    const d = await body(reg.create({ deviceId: a }));
    eq([d.deviceId, d.status, d.connectionState], [a, 'enabled', 'Disconnected'], 'device');
    ok(Buffer.from(d.authentication.symmetricKey.primaryKey, 'base64').length >= 16, 'a generated key'); ok(d.generationId && d.etag, 'generationId and etag');
  });
  await t.step('create again gives DeviceAlreadyExistsError', () => fails(reg.create({ deviceId: a }), /DeviceAlreadyExists/, 'conflict'));
  await t.step('get', async () => eq((await body(reg.get(a))).deviceId, a, 'deviceId'));
  await t.step('get of an unknown device gives DeviceNotFoundError', () => fails(reg.get(id('nope')), /DeviceNotFound/, 'missing'));
  await t.step('an invalid device ID gives ArgumentError', () => fails(reg.create({ deviceId: 'bad id/with slash' }), /ArgumentError|400/, 'bad id'));
  await t.step('update disables, keys are kept', async () => {
    const before = await body(reg.get(a));
    const d = await body(reg.update({ deviceId: a, status: 'disabled', statusReason: 'test', authentication: before.authentication }));
    eq([d.status, d.statusReason], ['disabled', 'test'], 'status'); ok(d.etag !== before.etag, 'a new etag'); eq(d.generationId, before.generationId, 'generationId');
    eq(d.authentication.symmetricKey.primaryKey, before.authentication.symmetricKey.primaryKey, 'key');
  });
  await t.step('a disabled device cannot connect', async () => {
    const d = await body(reg.get(a));
    return fails(openDevice('mqtt', { hub: hubHost(), deviceId: a, key: d.authentication.symmetricKey.primaryKey }), /unauthorized|not authorized/i, 'disabled device');
  });
  await t.step('bulk add of five', async () => {
    const r = await body(reg.addDevices(bulk.map((deviceId) => ({ deviceId, status: 'enabled', authentication: { symmetricKey: { primaryKey: newKey(), secondaryKey: newKey() } } }))));
    eq([r.isSuccessful, r.errors.length], [true, 0], 'bulk result');
  });
  await t.step('bulk add again reports each conflict', async () => {
    let r; try { r = await body(reg.addDevices([{ deviceId: bulk[0] }])); } catch (e) { r = JSON.parse(e.responseBody); }
    // 409001 is the form to serve; the swagger writes the same code as a name, and no SDK tells them apart
    eq(r.isSuccessful, false, 'isSuccessful'); eq(r.errors[0].deviceId, bulk[0], 'error.deviceId'); ok([409001, 'DeviceAlreadyExists'].includes(r.errors[0].errorCode), `errorCode 409001, not ${r.errors[0].errorCode}`);
  });
  await t.step('list holds them', async () => { const l = (await body(reg.list())).map((d) => d.deviceId); ok(bulk.every((b) => l.includes(b)), 'all five listed'); });
  await t.step('twin patch: tags and desired, etag and versions move', async () => {
    const before = await body(reg.getTwin(a));
    const tw = await body(reg.updateTwin(a, { tags: { acc: tag, n: { x: 1 } }, properties: { desired: { p: { q: [1, 2] } } } }, before.etag));
    eq([tw.tags.acc, tw.tags.n.x, tw.properties.desired.p.q], [tag, 1, [1, 2]], 'twin'); ok(tw.etag !== before.etag && tw.version > before.version, 'etag and version'); eq(tw.properties.desired.$version, before.properties.desired.$version + 1, 'desired.$version');
  });
  await t.step('twin patch with an old etag gives InvalidEtagError', () => fails(reg.updateTwin(a, { tags: { z: 1 } }, 'AAAAAAAAAP8='), /InvalidEtag|412/, 'stale'));
  await t.step('null removes a tag', async () => { const tw = await body(reg.updateTwin(a, { tags: { n: null } }, '*')); ok(!('n' in tw.tags), 'tag n is gone'); });
  const rows = async (sql, size) => { const q = reg.createQuery(sql, size); const out = []; let pages = 0; do { const { result } = await q.next(q.continuationToken); /* a bare next() would ask for page one for ever */ out.push(...result); pages++; } while (q.hasMoreResults && pages < 50); return { out, pages }; };
  await t.step('query by tag', () => until(10000, 'the twin in the query result', async () => (await rows(`SELECT * FROM devices WHERE tags.acc = '${tag}'`)).out.some((r) => r.deviceId === a)).then(() => undefined));
  await t.step('query with paging', async () => { await until(10000, 'five rows', async () => { const r = await rows(`SELECT * FROM devices WHERE STARTSWITH(deviceId, '${id('reg-b')}')`, 2); return r.out.length === 5 && r.pages >= 3; }); });
  await t.step('query projection and COUNT', async () => {
    eq((await rows(`SELECT deviceId FROM devices WHERE deviceId = '${a}'`)).out, [{ deviceId: a }], 'projection');
    ok((await rows('SELECT COUNT() AS total FROM devices')).out[0].total >= 6, 'count');
  });
  await t.step('a query that does not parse gives ArgumentError', () => fails(rows('SELECT FROM WHERE'), /ArgumentError|400/, 'bad query'));
  await t.step('statistics', async () => { const s = await body(reg.getRegistryStatistics()); ok(s.totalDeviceCount >= 6 && s.enabledDeviceCount + s.disabledDeviceCount === s.totalDeviceCount, 'counts add up'); });
  await t.step('modules: add, list, remove', async () => {
    await reg.addModule({ deviceId: a, moduleId: 'm1' }); eq((await body(reg.getModulesOnDevice(a))).map((m) => m.moduleId), ['m1'], 'modules'); await reg.removeModule(a, 'm1');
  });
  await t.step('delete of a connected device throws it out', async () => {
    const d = await body(reg.get(bulk[0])); const c = await openDevice('mqtt', { hub: hubHost(), deviceId: bulk[0], key: d.authentication.symmetricKey.primaryKey });
    const gone = new Promise((r) => c.once('disconnect', r)); await reg.delete(bulk[0]); await gone; await close(c);
  });
  await t.step('delete, then get and delete give DeviceNotFoundError', async () => { await reg.delete(a); await fails(reg.get(a), /DeviceNotFound/, 'get'); return fails(reg.delete(a), /DeviceNotFound/, 'delete'); });
  await t.step('bulk remove', async () => { const r = await body(reg.removeDevices(bulk.slice(1).map((deviceId) => ({ deviceId })), true)); eq(r.isSuccessful, true, 'isSuccessful'); });
  await t.step('a wrong policy key gives UnauthorizedError', async () => {
    const { hubSdk, cfg } = await import('../lib.mjs');
    return fails(hubSdk.Registry.fromConnectionString(cfg.hubConn.replace(/SharedAccessKey=[^;]*/, 'SharedAccessKey=' + newKey())).get(a), /Unauthorized/, 'bad key');
  });
});

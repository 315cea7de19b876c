#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "errors/hub.h"
#include "hub/hub_fixture.h"
#include "security/certificate_testing.h"

namespace doppel::hub {
namespace {

using std::chrono::minutes;
using ::testing::HasSubstr;

class AuthenticationTest : public HubFixture {
 protected:
  Result<DeviceGrant> with_token(std::string text, std::string_view device = "d1",
                                 std::string_view module = {}) {
    const DeviceProof proof{.sas_token = std::move(text)};
    return run(hubs.authenticate(hub, DeviceId(device), ModuleId(module), proof));
  }
  template <class T>
  static void expect_refused(const Result<T>& grant, std::string_view why) {
    ASSERT_FALSE(grant.has_value());
    EXPECT_EQ(grant.error().code, Code::unauthenticated);
    EXPECT_EQ(grant.error().name(), "IotHubUnauthorized");
    EXPECT_THAT(grant.error().message, HasSubstr(std::string(why)));
  }
};

TEST_F(AuthenticationTest, BothKeysOpen) {
  const auto device = make_device("d1");
  const std::string sr = "contoso.test/devices/d1";
  const auto grant = with_token(token(sr, device.authentication.primary_key));
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(grant->identity.generation, device.generation);
  EXPECT_EQ(grant->auth_method,
            R"({"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null})");
  EXPECT_TRUE(with_token(token(sr, device.authentication.secondary_key)));
}

TEST_F(AuthenticationTest, AliasesPortsAndLetterCaseOfTheHostAreFine) {
  const auto device = make_device("d1");
  for (const auto sr :
       {"localhost/devices/d1", "localhost:8883/devices/d1", "CONTOSO.test/devices/d1",
        "contoso.test/devices/d1/api-version=2016-11-14"})
    EXPECT_TRUE(with_token(token(sr, device.authentication.primary_key))) << sr;
}

TEST_F(AuthenticationTest, RefusesATokenForSomethingElse) {
  const auto& key = make_device("d1").authentication.primary_key;
  make_device("d10");
  expect_refused(with_token(token("contoso.test/devices/d10", key)), "does not cover");
  expect_refused(with_token(token("contoso.test/devices/d1", key), "d10"), "does not cover");
  expect_refused(with_token(token("contoso.test/devices/D1", key)), "does not cover");
  expect_refused(with_token(token("fabrikam.test/devices/d1", key)), "host 'fabrikam.test'");
  expect_refused(with_token("SharedAccessSignature sr=x"), "");
  expect_refused(with_token("nonsense"), "");
  expect_refused(with_token(""), "neither a token nor a certificate");
}

TEST_F(AuthenticationTest, RefusesAWrongKeyAndAnUnknownDevice) {
  make_device("d1");
  expect_refused(with_token(token("contoso.test/devices/d1", key_of("other"))), "");
  expect_refused(with_token(token("contoso.test/devices/d2", key_of("other")), "d2"),
                 "no identity 'd2'");
}

TEST_F(AuthenticationTest, ExpiryHasFiveMinutesOfSkewAndTenOfGrace) {
  const auto device = make_device("d1");
  const auto text =
      token("contoso.test/devices/d1", device.authentication.primary_key, {}, minutes(60));
  const auto expires = clock.now() + minutes(60);
  clock.advance(minutes(64));
  const auto late = with_token(text);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->expires, expires + kTokenGrace);
  clock.advance(minutes(2));
  expect_refused(with_token(text), "");
}

TEST_F(AuthenticationTest, ATokenForEverHasNoEnd) {
  const auto device = make_device("d1");
  const auto text = token("contoso.test/devices/d1", device.authentication.primary_key, {},
                          std::chrono::seconds(7'300'000'000));
  const auto grant = with_token(text);
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(grant->expires, std::nullopt);
}

TEST_F(AuthenticationTest, APolicyWithDeviceConnectOpensAnyDevice) {
  make_device("d1");
  const auto grant = with_token(token("contoso.test/devices/d1", key_of("device1"), "device"));
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_THAT(grant->auth_method, HasSubstr(R"("scope":"hub")"));
  EXPECT_TRUE(with_token(token("contoso.test", key_of("iothubowner2"), "iothubowner")));
  expect_refused(with_token(token("contoso.test", key_of("service1"), "service")),
                 "no DeviceConnect");
  expect_refused(with_token(token("contoso.test", key_of("service1"), "device")), "");
}

TEST_F(AuthenticationTest, ADisabledDeviceAndItsModulesAreRefused) {
  auto device = make_device("d1");
  const auto module =
      *run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = ModuleId("m1")}));
  const auto text = token("contoso.test/devices/d1/modules/m1", module.authentication.primary_key);
  const auto grant = with_token(text, "d1", "m1");
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_THAT(grant->auth_method, HasSubstr(R"("scope":"module")"));

  device.status = DeviceStatus::disabled;
  device.status_reason = "stolen";
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  expect_refused(with_token(device_token(device)), "disabled (reason: 'stolen')");
  expect_refused(with_token(text, "d1", "m1"), "disabled");
}

// The cache must not outlive the identity, whatever was in it.
TEST_F(AuthenticationTest, ADeletedOrRekeyedDeviceIsRefusedAtOnce) {
  auto device = make_device("d1");
  const auto text = device_token(device);
  ASSERT_TRUE(with_token(text));
  ASSERT_TRUE(with_token(text));
  device.authentication.primary_key = key_of("new");
  device.authentication.secondary_key = key_of("new2");
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  expect_refused(with_token(text), "");
  ASSERT_TRUE(with_token(device_token(device)));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  expect_refused(with_token(device_token(device)), "no identity");
  make_device("d1");
  expect_refused(with_token(device_token(device)), "");
}

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

Certificate self_signed() {
  auto* key = EVP_EC_gen("P-256");
  Certificate certificate(X509_new());
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_sign(certificate.get(), key, EVP_sha256());
  EVP_PKEY_free(key);
  return certificate;
}

std::string thumbprint(X509* certificate, const EVP_MD* digest) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  X509_digest(certificate, digest, bytes, &size);
  std::string hex = hex_encode({reinterpret_cast<char*>(bytes), size});
  for (auto& c : hex) c = static_cast<char>(std::toupper(c));
  return hex;
}

TEST_F(AuthenticationTest, CertificatesOpenByEitherThumbprint) {
  const auto good = self_signed(), bad = self_signed();
  const auto with_certificate = [&](X509* certificate) {
    const DeviceProof proof{.certificates = security::presented(certificate, nullptr)};
    return run(hubs.authenticate(hub, DeviceId("d1"), ModuleId(), proof));
  };
  for (const auto* digest : {EVP_sha1(), EVP_sha256()}) {
    Identity wanted{.device_id = DeviceId("d1")};
    wanted.authentication = {.type = AuthenticationType::self_signed,
                             .primary_thumbprint = std::string(40, '0'),
                             .secondary_thumbprint = thumbprint(good.get(), digest)};
    auto made = run(hubs.create_identity(hub, wanted));
    ASSERT_TRUE(made) << made.error().message;
    const auto grant = with_certificate(good.get());
    ASSERT_TRUE(grant) << grant.error().message;
    EXPECT_EQ(grant->expires, std::nullopt);
    EXPECT_THAT(grant->auth_method, HasSubstr(R"("type":"x509")"));
    expect_refused(with_certificate(bad.get()), "Thumbprint does not match configuration");
    expect_refused(with_token(token("contoso.test/devices/d1", key_of("x"))),
                   "not authenticated by keys");
    ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  }
  make_device("d1");
  expect_refused(with_certificate(good.get()), "the identity has type");
}

TEST_F(AuthenticationTest, CertificatesOpenByAVerifiedCaOfTheHub) {
  using security::testing::ca;
  using security::testing::issue;
  using security::testing::leaf;
  const auto root = issue(ca("Root"));
  const auto middle = issue(ca("Middle"), &root);
  const auto device = issue(leaf("d1"), &middle).certificate;
  Identity wanted{.device_id = DeviceId("d1")};
  wanted.authentication.type = AuthenticationType::certificate_authority;
  ASSERT_TRUE(run(hubs.create_identity(hub, wanted)));
  wanted.module_id = ModuleId("m1");
  ASSERT_TRUE(run(hubs.create_identity(hub, wanted)));

  const auto authenticate = [&](const security::Certificate& shown,
                                std::vector<security::Certificate> others = {},
                                std::string module = {}) {
    const DeviceProof proof{.certificates = security::testing::shown(shown, std::move(others))};
    return run(hubs.authenticate(hub, DeviceId("d1"), ModuleId(module), proof));
  };
  const auto trust = [&](const security::Certificate& one, bool is_verified) {
    auto changed = default_hub();
    changed.certificates = {{.name = "ca", .certificate = one, .is_verified = is_verified}};
    set_catalog(std::move(changed));
  };
  expect_refused(authenticate(device, {middle.certificate}), "no verified certificate");
  trust(root.certificate, false);
  expect_refused(authenticate(device, {middle.certificate}), "no verified certificate");
  trust(root.certificate, true);
  const auto grant = authenticate(device, {middle.certificate});
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_THAT(grant->auth_method, HasSubstr(R"("type":"x509")"));
  expect_refused(authenticate(device), "issuer 'CN=Middle'");
  expect_refused(authenticate(issue(leaf("D1"), &middle).certificate, {middle.certificate}),
                 "common name is 'D1', not 'd1'");
  auto expired = leaf("d1");
  expired.not_after_s = 1'700'000'000;
  expect_refused(authenticate(issue(expired, &middle).certificate, {middle.certificate}),
                 "expired at");
  expect_refused(authenticate(issue(leaf("d1")).certificate), "issuer 'CN=d1'");
  // A module's own certificate, not its device's.
  EXPECT_TRUE(authenticate(issue(leaf("d1/m1"), &middle).certificate, {middle.certificate}, "m1"));
  expect_refused(authenticate(device, {middle.certificate}, "m1"), "not 'd1/m1'");
  trust(middle.certificate, true);
  EXPECT_TRUE(authenticate(device)) << "a verified intermediate is enough";
  trust(issue(ca("Root")).certificate, true);
  expect_refused(authenticate(device, {middle.certificate, root.certificate}), "");
}

// ---- Connections ----

class ConnectTest : public AuthenticationTest {
 protected:
  using Connection = std::shared_ptr<RecordedConnection>;
  Result<Connections::Ticket> connect(const Identity& identity, const Connection& connection) {
    const DeviceGrant grant{.identity = identity, .auth_method = ""};
    return run(hubs.connect(hub, grant, "", connection, executor));
  }
  bool is_connected() { return hubs.presence(hub, DeviceId("d1"), ModuleId()).connected; }
  Connection first = std::make_shared<RecordedConnection>();
  Connection second = std::make_shared<RecordedConnection>();
};

TEST_F(ConnectTest, ANewerConnectionTakesOver) {
  const auto device = make_device("d1");
  const auto old = connect(device, first);
  ASSERT_TRUE(connect(device, second));
  executor.run_until_idle();
  EXPECT_EQ(first->closed.size(), 1u);
  EXPECT_EQ(second->closed.size(), 0u);
  hubs.disconnect(hub, device, *old);  // the old one's end does not end the new one
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(hubs.connected_count(hub), 1u);
}

TEST_F(ConnectTest, StateAndTimesFollowTheConnection) {
  const auto device = make_device("d1");
  EXPECT_FALSE(is_connected());
  const auto ticket = connect(device, first);
  const auto connected_at = clock.now();
  auto presence = hubs.presence(hub, DeviceId("d1"), ModuleId());
  EXPECT_TRUE(presence.connected);
  EXPECT_EQ(presence.state_changed, connected_at);
  clock.advance(minutes(5));
  hubs.disconnect(hub, device, *ticket);
  presence = hubs.presence(hub, DeviceId("d1"), ModuleId());
  EXPECT_FALSE(presence.connected);
  EXPECT_EQ(presence.state_changed, clock.now());
  EXPECT_EQ(presence.last_activity, connected_at);
}

TEST_F(ConnectTest, DeletingDisablingAndReplacingThrowOut) {
  auto device = make_device("d1");
  ASSERT_TRUE(connect(device, first));
  device.status = DeviceStatus::disabled;
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  EXPECT_EQ(first->closed.size(), 1u);
  EXPECT_FALSE(is_connected());
  device.status = DeviceStatus::enabled;
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  ASSERT_TRUE(connect(device, second));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  EXPECT_EQ(second->closed.size(), 1u);
}

// Its modules cannot prove themselves any more (authenticate()), so they do not stay either.
TEST_F(ConnectTest, DisablingADeviceThrowsOutItsModules) {
  auto device = make_device("d1");
  const auto module =
      run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = ModuleId("m1")}));
  ASSERT_TRUE(module);
  const auto other = make_device("d10");
  const Connection bystander = std::make_shared<RecordedConnection>();
  ASSERT_TRUE(connect(device, first));
  ASSERT_TRUE(connect(*module, second));
  ASSERT_TRUE(connect(other, bystander));
  device.status = DeviceStatus::disabled;
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  executor.run_until_idle();
  EXPECT_EQ(first->closed.size(), 1u);
  EXPECT_EQ(second->closed.size(), 1u);
  EXPECT_EQ(bystander->closed.size(), 0u);
  expect_refused(connect(*module, second), "deleted or disabled");
}

TEST_F(ConnectTest, AnUpdateThatKeepsItEnabledDoesNotThrowOut) {
  const auto device = make_device("d1");
  ASSERT_TRUE(connect(device, first));
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  ASSERT_TRUE(
      run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = ModuleId("m1")})));
  EXPECT_EQ(first->closed.size(), 0u);
  EXPECT_TRUE(is_connected());
}

// Proven, then deleted, then registering its connection: it must not stay.
TEST_F(ConnectTest, WhoWasDeletedWhileConnectingIsRefused) {
  const auto device = make_device("d1");
  ASSERT_TRUE(with_token(device_token(device)));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  expect_refused(connect(device, first), "deleted or disabled");
  make_device("d1");
  EXPECT_FALSE(connect(device, first)) << "an earlier generation";
  EXPECT_FALSE(is_connected());
}

// A deletion may be among what was kept by a flush that nobody was told of.
TEST_F(ConnectTest, AfterTheStoreReopenedEverybodyProvesItselfAgain) {
  const auto device = make_device("d1");
  ASSERT_TRUE(connect(device, first));
  faults.fail_next_flush(store::FaultInjection::Fault::lose_answer);
  EXPECT_FALSE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  executor.run_until_idle();
  EXPECT_EQ(first->closed.size(), 1u);
  expect_refused(with_token(device_token(device)), "no identity");
}

TEST_F(ConnectTest, AConnectionThatIsGoneIsNotCalled) {
  const auto device = make_device("d1");
  ASSERT_TRUE(connect(device, first));
  first.reset();
  ASSERT_TRUE(connect(device, second));
  executor.run_until_idle();
  EXPECT_EQ(second->closed.size(), 0u);
}

}  // namespace
}  // namespace doppel::hub

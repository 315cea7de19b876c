#include "resources/resources_testing.h"

namespace doppel::resources::testing {
namespace {

class CredentialsTest : public ResourcesTest {
 protected:
  std::string token(std::string_view scope = "https://digitaltwins.azure.net/.default") {
    const auto issued = resources->issue_token("app", "secret", scope);
    return issued ? "Bearer " + issued->token : "";
  }
};

TEST_F(CredentialsTest, IssuesATokenForTheRightSecretOnly) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_FALSE(resources->issue_token("app", "wrong", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("nobody", "secret", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("app", "", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("app", "secret", ""));
  EXPECT_FALSE(resources->issue_token("app", "secret", "/.default"));
  EXPECT_EQ(run(executor, resources->create_admin_credential("APP", "x")).error().code,
            Code::already_exists);
  const auto generated = run(executor, resources->create_admin_credential());
  ASSERT_TRUE(generated);
  EXPECT_TRUE(
      resources->issue_token(generated->client_id, generated->secret, "https://x/.default"));
}

TEST_F(CredentialsTest, ATokenOpensTheServiceItIsFor) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_TRUE(resources->authenticate_bearer(token(), Audience::digital_twins));
  EXPECT_FALSE(resources->authenticate_bearer(token(), Audience::management));
  // The package adds "/.default" to the endpoint; az's resource id ends in a slash itself.
  for (const char* scope : {"https://localhost:8443/.default", "https://localhost:8443//.default",
                            "https://management.azure.com/.default"}) {
    EXPECT_TRUE(resources->authenticate_bearer(token(scope), Audience::management)) << scope;
    EXPECT_FALSE(resources->authenticate_bearer(token(scope), Audience::digital_twins)) << scope;
  }
  EXPECT_TRUE(resources->authenticate_bearer(token("https://eventhubs.azure.net//.default"),
                                             Audience::event_hubs));
  for (const char* header :
       {"", "Bearer", "Bearer ", "Bearer x", "Basic abc", "SharedAccessSignature sr=x"})
    EXPECT_FALSE(resources->authenticate_bearer(header, Audience::management)) << header;
}

TEST_F(CredentialsTest, ATokenEndsWithItsTimeAndWithItsPrincipalAndOutlivesARestart) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  const std::string header = token();
  open();
  EXPECT_TRUE(resources->authenticate_bearer(header, Audience::digital_twins));
  clock.advance(std::chrono::minutes(64));
  EXPECT_TRUE(resources->authenticate_bearer(header, Audience::digital_twins))
      << "within the leeway";
  clock.advance(std::chrono::minutes(2));
  EXPECT_FALSE(resources->authenticate_bearer(header, Audience::digital_twins));

  const std::string fresh = token();
  EXPECT_TRUE(resources->authenticate_bearer(fresh, Audience::digital_twins));
  ASSERT_TRUE(run(executor, resources->remove_principal("app")));
  EXPECT_FALSE(resources->authenticate_bearer(fresh, Audience::digital_twins));
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_FALSE(resources->authenticate_bearer(fresh, Audience::digital_twins))
      << "another one of the same name";
}

TEST_F(CredentialsTest, RolesReachAsFarAsTheirScope) {
  const Principal principal{
      .client_id = "c",
      .object_id = "o",
      .roles = {{.role = "Contributor", .scope = "/subscriptions/s/resourceGroups/rg"},
                {.role = "Reader", .scope = "/"},
                {.role = "Azure Digital Twins Data Reader", .scope = "/"}}};
  EXPECT_TRUE(principal.may_write("/subscriptions/S/resourcegroups/RG/providers/x"));
  EXPECT_TRUE(principal.may_write("/subscriptions/s/resourceGroups/rg"));
  EXPECT_FALSE(principal.may_write("/subscriptions/s/resourceGroups/rg2"));
  EXPECT_FALSE(principal.may_write("/subscriptions/s"));
  EXPECT_TRUE(principal.may_read("/subscriptions/s"));
  EXPECT_TRUE(principal.may_read_twins("/subscriptions/s/x"));
  EXPECT_FALSE(principal.may_write_twins("/subscriptions/s/x"));
}

TEST_F(ResourcesTest, VerifiesServiceTokensAgainstPolicies) {
  set_up_all();
  const auto now = resources->catalog();
  const Hub* hub = now->find_hub("hub1");
  const auto make = [&](std::string_view policy, std::string_view policy_key) {
    return *security::parse_sas(*security::make_sas("localhost", policy_key,
                                                    security::KeyForm::base64, policy,
                                                    clock.now() + std::chrono::hours(1)));
  };
  const auto verify = [&](const security::SasToken& token, HubRight right) {
    const auto verified =
        verify_policy(hub->policies, token, security::KeyForm::base64, right, clock.now());
    return verified ? std::string((*verified)->name)
                    : std::string(to_string(verified.error().code));
  };
  const auto service = make("service", hub->find_policy("service")->secondary_key);
  EXPECT_EQ(verify(service, HubRight::service_connect), "service");
  EXPECT_EQ(verify(service, HubRight::registry_read), to_string(Code::forbidden));
  EXPECT_EQ(verify(make("iothubowner", hub->find_policy("service")->primary_key),
                   HubRight::service_connect),
            to_string(Code::unauthenticated));
  EXPECT_EQ(
      verify(make("nobody", hub->find_policy("service")->primary_key), HubRight::service_connect),
      to_string(Code::unauthenticated));
}

}  // namespace
}  // namespace doppel::resources::testing

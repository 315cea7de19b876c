// What is asked for with POST (keys, settings, free names), and GETs that are no documents.
#include "base/encoding.h"
#include "errors/arm.h"
#include "resources/ca_certificate.h"
#include "resources/names.h"
#include "resources/types.h"
#include "resources/wire/arm.h"
#include "security/keys.h"

namespace doppel::resources::wire {
namespace {

// The id of the first `count` segments.
Result<ResourceId> id_of(const ArmCall& call, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count && i < call.size(); ++i)
    path.append("/").append(call.segments[i]);
  return ResourceId::parse(path);
}

// With the keys in clear, for those who may see them.
json::Value keys_of(const json::Value& policy) {
  return {{"keyName", json::get_string_or(policy, "keyName", "")},
          {"primaryKey", json::get_string_or(policy, "primaryKey", "")},
          {"secondaryKey", json::get_string_or(policy, "secondaryKey", "")},
          {"rights", json::get_string_or(policy, "rights", "")}};
}

std::unexpected<Error> etag_needed() {
  return fail(errors::arm::kPreconditionFailed,
              "This call needs the certificate's current etag in an If-Match header.");
}

bool is_same_etag(std::string_view if_match, std::string_view current) {
  if (if_match.size() >= 2 && if_match.starts_with('"') && if_match.ends_with('"'))
    if_match = if_match.substr(1, if_match.size() - 2);
  return if_match == "*" || if_match == current;
}

std::string text_of(const Document& document, std::string_view name) {
  const auto* properties = json::find(document.body, "properties");
  return properties == nullptr ? "" : json::get_string_or(*properties, name, "");
}

}  // namespace

Task<Result<http::Response>> Arm::action(ArmCall call) {
  const std::string name = to_lower(call.segments.back());
  if (name.starts_with("check") && name.ends_with("nameavailability"))
    co_return name_availability(call);
  if (name == "register" && call.size() == 5 && call.is(2, "providers")) {
    json::Object body{
        {"id", "/subscriptions/" + call.segments[1] + "/providers/" + call.segments[3]},
        {"namespace", call.segments[3]},
        {"registrationState", "Registered"},
        {"resourceTypes", json::Array{}}};
    co_return json_response(200, body);
  }
  if (name == "regeneratekeys") co_return co_await regenerate_keys(std::move(call));
  if (name == "generateverificationcode" || name == "verify")
    co_return co_await certificate_action(std::move(call));
  if (name == "listkeys") co_return list_keys(call);
  if (name == "list" && call.size() == 11 && call.is(8, "config")) {
    auto id = id_of(call, 10);
    if (!id) co_return fail(std::move(id.error()));
    co_return settings(*id);
  }
  co_return fail(errors::arm::kNotFound,
                 "There is no action '" + name.substr(0, 64) + "' at this address.");
}

// .../certificates/C/generateVerificationCode and .../certificates/C/verify. Every call changes the
// etag, and only the call that makes a code shows it.
Task<Result<http::Response>> Arm::certificate_action(ArmCall call) {
  auto id = id_of(call, call.size() - 1);
  if (!id) co_return fail(std::move(id.error()));
  if (id->type() != kHubCertificateType && id->type() != kDpsCertificateType)
    co_return fail(errors::arm::kNotFound);
  const std::string if_match(call.request.headers.get_or("if-match", ""));
  if (if_match.empty()) co_return etag_needed();
  auto found = resources_.get(*id);
  if (!found) co_return fail(std::move(found.error()));
  const json::Value& document = (*found)->body;
  // Of the state that was read, whatever a "*" would allow.
  const std::string current = json::get_string_or(document, "etag", "");
  json::Object body;
  if (call.is(call.size() - 1, "verify")) {
    auto given = json::parse(call.request.body);
    const std::string proof = given ? json::get_string_or(*given, "certificate", "") : "";
    auto proven = verified(document, proof, resources_.clock().now());
    if (!proven) co_return fail(std::move(proven.error()));
    body = *std::move(proven);
  } else {
    body = with_verification_code(document, resources_.random());
  }
  if (!is_same_etag(if_match, current)) co_return fail(errors::arm::kPreconditionFailed);
  auto put = co_await resources_.put(*id, std::move(body), current);
  if (!put) co_return fail(std::move(put.error()));
  json::Object shown = resources_.visible(*put->document);
  const std::string code = text_of(*put->document, "verificationCode");
  if (!code.empty()) shown["properties"].get_object()["verificationCode"] = code;
  co_return json_response(200, shown);
}

// .../config/appsettings with its values. Other kinds of configuration exist only as empty ones.
Result<http::Response> Arm::settings(const ResourceId& id) const {
  auto site = resources_.get(id.top());
  if (!site) return fail(std::move(site.error()));
  json::Value values = json::Object{};
  if (auto found = resources_.get(id)) {
    if (const auto* properties = json::find((*found)->body, "properties")) values = *properties;
  }
  json::Object body{{"id", id.text()},
                    {"name", id.name()},
                    {"type", id.type()},
                    {"properties", std::move(values)}};
  return json_response(200, body);
}

// .../IotHubs/H/listkeys, .../IotHubs/H/IotHubKeys/K/listkeys,
// .../provisioningServices/D/[keys/K/]listkeys,
// .../namespaces/N[/eventhubs/E]/authorizationRules/R/listKeys, .../sites/F/host/default/listKeys
// and
// .../sites/F/functions/X/listKeys.
Result<http::Response> Arm::list_keys(const ArmCall& call) const {
  if (call.size() < 9) return fail(errors::arm::kNotFound);
  auto top = id_of(call, 8);
  if (!top) return fail(std::move(top.error()));
  auto found = resources_.get(*top);
  if (!found) return fail(std::move(found.error()));
  const std::string type = top->type();
  if (type == kSiteType) return site_keys(call);
  if (type == kEventSpaceType) {
    auto rule = id_of(call, call.size() - 1);
    if (!rule) return fail(std::move(rule.error()));
    return rule_keys(*rule);
  }
  if (type != kHubType && type != kDpsType) return fail(errors::arm::kNotFound);

  const auto* properties = json::find((*found)->body, "properties");
  const auto* policies =
      properties == nullptr ? nullptr : json::find(*properties, "authorizationPolicies");
  if (policies == nullptr || !policies->is_array()) return fail(errors::arm::kInternalServerError);
  if (call.size() == 9) {
    json::Array list;
    for (const auto& policy : policies->get_array()) list.push_back(keys_of(policy));
    return json_response(200, json::Object{{"value", std::move(list)}});
  }
  const bool is_one = call.size() == 11 && (call.is(8, "IotHubKeys") || call.is(8, "keys"));
  if (!is_one) return fail(errors::arm::kNotFound);
  for (const auto& policy : policies->get_array()) {
    if (equal_ignoring_case(json::get_string_or(policy, "keyName", ""), call.segments[9]))
      return json_response(200, keys_of(policy));
  }
  return fail(errors::arm::kResourceNotFound,
              "There is no policy '" + call.segments[9].substr(0, 64) + "'.");
}

Result<http::Response> Arm::rule_keys(const ResourceId& rule) const {
  const std::string type = rule.type();
  if (type != kEventSpaceRuleType && type != kEventHubRuleType) return fail(errors::arm::kNotFound);
  auto found = resources_.get(rule);
  if (!found) return fail(std::move(found.error()));
  const bool is_of_hub = type == kEventHubRuleType;
  const std::string primary = text_of(**found, "primaryKey");
  const std::string secondary = text_of(**found, "secondaryKey");
  const std::string name = json::get_string_or((*found)->body, "name", "");
  auto connection = resources_.event_connection_string(rule.top().name(),
                                                       is_of_hub ? rule.parent().name() : "", name);
  if (!connection) return fail(std::move(connection.error()));
  // The name of the member is looked for, not the key: a key that a user chose may be any text, and
  // be found elsewhere.
  constexpr std::string_view kMember = ";SharedAccessKey=";
  std::string second = *connection;
  if (const auto at = second.find(kMember); at != second.npos)
    second.replace(at + kMember.size(), primary.size(), secondary);
  json::Object body{{"primaryConnectionString", *connection},
                    {"secondaryConnectionString", second},
                    {"primaryKey", primary},
                    {"secondaryKey", secondary},
                    {"keyName", name}};
  return json_response(200, body);
}

Task<Result<http::Response>> Arm::regenerate_keys(ArmCall call) {
  auto rule = id_of(call, call.size() - 1);
  if (!rule) co_return fail(std::move(rule.error()));
  if (rule->type() != kEventSpaceRuleType && rule->type() != kEventHubRuleType)
    co_return fail(errors::arm::kNotFound);
  auto body = json::parse(call.request.body);
  const std::string which = body ? json::get_string_or(*body, "keyType", "") : "";
  const bool is_primary = equal_ignoring_case(which, "PrimaryKey");
  if (!is_primary && !equal_ignoring_case(which, "SecondaryKey"))
    co_return fail(errors::arm::kInvalidParameter, "'keyType' must be PrimaryKey or SecondaryKey.");
  std::string key = json::get_string_or(*body, "key", "");
  if (key.empty()) key = security::random_key(resources_.random());
  json::Object properties{{is_primary ? "primaryKey" : "secondaryKey", key}};
  auto task = resources_.patch(*rule, json::Object{{"properties", std::move(properties)}});
  auto patched = co_await std::move(task);
  if (!patched) co_return fail(std::move(patched.error()));
  co_return rule_keys(*rule);
}

Result<http::Response> Arm::site_keys(const ArmCall& call) const {
  const auto now = resources_.catalog();
  const FunctionApp* app = now->find_function_app(call.segments[7]);
  if (app == nullptr) return fail(errors::arm::kResourceNotFound);
  json::Object host_keys;
  for (const auto& [name, value] : app->host_keys) host_keys[name] = value;
  if (call.size() == 11 && call.is(8, "host")) {
    json::Object body{{"masterKey", app->master_key},
                      {"functionKeys", host_keys},
                      {"systemKeys", json::Object{}}};
    return json_response(200, body);
  }
  if (call.size() == 11 && call.is(8, "functions")) {
    // A function without keys of its own is opened by the host's.
    json::Object keys = host_keys;
    if (const auto own = app->function_keys.find(to_lower(call.segments[9]));
        own != app->function_keys.end()) {
      for (const auto& [name, value] : own->second) keys[name] = value;
    }
    return json_response(200, keys);
  }
  return fail(errors::arm::kNotFound);
}

// /subscriptions/S/providers/NS/[locations/L/]check...NameAvailability. For a hub az reads
// nameAvailable:true as "there is no such hub", so the answer must be about this server.
Result<http::Response> Arm::name_availability(const ArmCall& call) const {
  const auto body = json::parse(call.request.body);
  if (!body || !body->is_object()) return fail(errors::arm::kInvalidRequestContent);
  const std::string name = json::get_string_or(*body, "name", "");
  const std::string action_name = to_lower(call.segments.back());
  std::string_view type;
  if (call.is(3, "Microsoft.Devices"))
    type = action_name == "checkprovisioningservicenameavailability" ? kDpsType : kHubType;
  if (call.is(3, "Microsoft.DigitalTwins")) type = kTwinsType;
  if (call.is(3, "Microsoft.EventHub")) type = kEventSpaceType;
  if (call.is(3, "Microsoft.Web")) type = kSiteType;
  if (type.empty()) return fail(errors::arm::kNotFound);

  const auto now = resources_.catalog();
  const bool is_taken = (type == kHubType && now->find_hub(name) != nullptr) ||
                        (type == kDpsType && now->find_dps(name) != nullptr) ||
                        (type == kTwinsType && now->find_twins(name) != nullptr) ||
                        (type == kEventSpaceType && now->find_event_space(name) != nullptr) ||
                        (type == kSiteType && now->find_function_app(name) != nullptr);
  const auto valid = check_resource_name(type, name);
  json::Object answer{{"nameAvailable", valid.has_value() && !is_taken}};
  // Event Hubs has words of its own (azure-mgmt-eventhub: UnavailableReason).
  const bool is_event_space = type == kEventSpaceType;
  if (!valid) {
    answer["reason"] = is_event_space ? "InvalidName" : "Invalid";
    answer["message"] = valid.error().message;
  } else if (is_taken) {
    answer["reason"] = is_event_space ? "NameInUse" : "AlreadyExists";
    answer["message"] = "The name '" + name + "' is already in use.";
  } else {
    if (is_event_space) answer["reason"] = "None";  // the others leave it out
    answer["message"] = "";
  }
  return json_response(200, answer);
}

Task<Result<http::Response>> Arm::hub_stats(ArmCall call) {
  auto id = id_of(call, 8);
  if (!id) co_return fail(std::move(id.error()));
  auto found = resources_.get(*id);
  if (!found) co_return fail(std::move(found.error()));
  if (!hooks_.hub_stats || id->type() != kHubType) co_return fail(errors::arm::kNotFound);
  auto stats = co_await hooks_.hub_stats(HubName(json::get_string_or((*found)->body, "name", "")));
  if (!stats) co_return fail(std::move(stats.error()));
  json::Object body{{"totalDeviceCount", stats->total},
                    {"enabledDeviceCount", stats->enabled},
                    {"disabledDeviceCount", stats->disabled}};
  co_return json_response(200, body);
}

// GETs whose answer never changes here.
std::optional<http::Response> Arm::constant_answer(const ArmCall& call) const {
  if (call.method() != "GET") return std::nullopt;
  // az functionapp config appsettings list asks which settings stay with a slot; there are no
  // slots.
  if (call.size() == 10 && call.is(8, "config") && call.is(9, "slotConfigNames")) {
    json::Object none{{"connectionStringNames", nullptr},
                      {"appSettingNames", nullptr},
                      {"azureStorageConfigNames", nullptr}};
    json::Object body{{"id", call.path},
                      {"name", "slotConfigNames"},
                      {"type", kSiteConfigType},
                      {"properties", none}};
    return json_response(200, body);
  }
  if (call.size() == 5 && call.is(2, "providers") && call.is(4, "usages"))
    return json_response(200, json::Object{{"value", json::Array{}}});
  return std::nullopt;
}

}  // namespace doppel::resources::wire

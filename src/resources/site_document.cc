// Resource groups, and Microsoft.Web/sites: function apps with their settings and keys.
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/document.h"
#include "resources/names.h"
#include "resources/types.h"
#include "security/keys.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kSettingsMax = 512;
constexpr std::size_t kSettingNameSizeMax = 256;
constexpr std::size_t kSettingSizeMax = 32 * 1024;

// NAME -> text. The portal and az send numbers and booleans as text; a bare one is taken as its
// text.
Result<json::Object> settings_of(const json::Value& given) {
  if (!given.is_object()) return bad_parameter("App settings must be an object of texts.");
  if (given.get_object().size() > kSettingsMax)
    return bad_parameter("A function app has at most 512 settings.");
  json::Object settings;
  for (const auto& member : given.get_object()) {
    std::string text;
    if (json::is_string(member.value())) {
      text = json::view(member.value().get_string());
    } else if (json::is_number(member.value()) || member.value().is_bool()) {
      text = json::write(member.value());
    } else {
      return bad_parameter("The value of setting '" + std::string(member.key()).substr(0, 64) +
                           "' must be a text.");
    }
    if (member.key().empty() || member.key().size() > kSettingNameSizeMax ||
        text.size() > kSettingSizeMax)
      return bad_parameter("A setting's name has 1 to 256 characters and its value at most 32 KB.");
    settings[member.key()] = text;
  }
  return settings;
}

// siteConfig.appSettings, a list of {name, value}, as az functionapp create sends it.
Result<json::Object> listed_settings(const json::Value& list) {
  if (!list.is_array()) return bad_parameter("'appSettings' must be an array.");
  json::Object settings;
  for (const auto& one : list.get_array()) {
    const std::string name = json::get_string_or(one, "name", "");
    if (name.empty()) return bad_parameter("An app setting needs a name.");
    settings[name] = json::get_string_or(one, "value", "");
  }
  return settings_of(settings);
}

}  // namespace

Result<PutPlan> plan_group(const PutContext& context) {
  auto named = check_group_name(context.id.name());
  if (!named) return fail(std::move(named.error()));
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  (*document)["properties"] = json::Object{};
  return PutPlan{.body = std::move(*document), .children = {}};
}

Result<PutPlan> plan_site(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  (*document)["kind"] = "functionapp";
  json::Object* properties =
      properties_of(*document);  // after the last insertion, which may move it
  json::Object settings;
  if (const auto* config = json::find(*document->if_contains("properties"), "siteConfig")) {
    if (const auto* list = json::find(*config, "appSettings");
        list != nullptr && !list->is_null()) {
      auto listed = listed_settings(*list);
      if (!listed) return fail(std::move(listed.error()));
      settings = std::move(*listed);
    }
  }
  // Settings may be secrets: they live in their own document, which is never shown with the site.
  for (const char* name : {"siteConfig", "state", "hostNames", "defaultHostName",
                           "enabledHostNames", "provisioningState", "masterKey", "hostKeys"})
    properties->stable_erase(name);
  const auto* stored_keys = property(context.existing, "hostKeys");
  const auto* given_keys = property(context.body, "hostKeys");
  (*properties)["masterKey"] =
      text_property(context.existing, "masterKey", security::random_key(context.random));
  // Not Azure's: a key for the whole app may be given when the app is made, for set-ups that must
  // be repeatable.
  if (stored_keys != nullptr) {
    (*properties)["hostKeys"] = *stored_keys;
  } else if (given_keys != nullptr) {
    auto keys = settings_of(*given_keys);
    if (!keys) return fail(std::move(keys.error()));
    (*properties)["hostKeys"] = std::move(*keys);
  } else {
    (*properties)["hostKeys"] = json::Object{{"default", security::random_key(context.random)}};
  }
  PutPlan plan{.body = std::move(*document), .children = {}};
  if (context.existing == nullptr) {
    plan.children.emplace_back(context.id.child("config", kAppSettings),
                               json::Object{{"properties", settings}});
  }
  return plan;
}

Result<PutPlan> plan_site_config(const PutContext& context) {
  if (!equal_ignoring_case(context.id.name(), kAppSettings)) {
    return fail(errors::arm::kInvalidResourceType,
                "Of a site's configuration only 'appsettings' exists here.");
  }
  json::Object document = child_document(context);
  auto settings = settings_of(document["properties"]);
  if (!settings) return fail(std::move(settings.error()));
  document["properties"] = std::move(*settings);
  return PutPlan{.body = std::move(document), .children = {}};
}

Result<PutPlan> plan_function_key(const PutContext& context) {
  json::Object document = child_document(context);
  std::string value = text_property(&context.body, "value", "");
  if (value.empty())
    value = text_property(context.existing, "value", security::random_key(context.random));
  if (value.size() > kSettingNameSizeMax) return bad_parameter("A key has at most 256 characters.");
  document["properties"] = json::Object{{"name", context.id.name()}, {"value", value}};
  return PutPlan{.body = std::move(document), .children = {}};
}

}  // namespace doppel::resources

#include "functions/settings.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::functions {
namespace {

// "https://host:port/path" -> "host:port"
std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  return url.substr(0, url.find('/'));
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// The instance that ADT_SERVICE_URL names. Several instances may share a host name (everything is
// called localhost out of the box): then the one of the app's own resource group is meant.
Result<TwinsInstanceName> find_instance(const resources::FunctionApp& app,
                                        const resources::Catalog& catalog) {
  const auto url = app.setting("ADT_SERVICE_URL");
  if (!url || url->empty())
    return fail(Code::invalid_argument,
                fmt::format("the function app {} has no ADT_SERVICE_URL", app.name));
  const std::string_view host = host_of(*url);
  const std::string_view name = host.substr(0, host.rfind(':'));
  for (const auto& instance : catalog.twins) {
    if (!equal_ignoring_case(instance.resource_group, app.resource_group)) continue;
    for (const auto& known : instance.host_names)
      if (equal_ignoring_case(known, name)) return instance.name;
  }
  if (const auto* instance = catalog.find_twins_by_host(host)) return instance->name;
  return fail(Code::invalid_argument,
              fmt::format("ADT_SERVICE_URL of the function app {} is {}, which is no Digital Twins "
                          "instance of this server",
                          app.name, *url));
}

Result<OnModelChange> read_on_model_change(std::string_view text) {
  if (equal_ignoring_case(text, "keep")) return OnModelChange::keep;
  if (equal_ignoring_case(text, "replace")) return OnModelChange::replace;
  if (equal_ignoring_case(text, "fail")) return OnModelChange::fail;
  return fail(Code::invalid_argument,
              fmt::format("ON_MODEL_CHANGE is '{}'; it may be keep, replace or fail", text));
}

}  // namespace

Result<AppSettings> read_settings(const resources::FunctionApp& app,
                                  const resources::Catalog& catalog) {
  AppSettings settings;
  auto instance = find_instance(app, catalog);
  if (!instance) return fail(std::move(instance.error()));
  settings.instance = std::move(*instance);
  if (const auto model = app.setting("DEFAULT_MODEL_ID")) settings.default_model = Dtmi(*model);
  if (const auto policy = app.setting("ON_MODEL_CHANGE")) {
    auto read = read_on_model_change(*policy);
    if (!read) return fail(std::move(read.error()));
    settings.on_model_change = *read;
  }
  std::string_view names = app.setting("IOTHUB_NAMES").value_or("");
  while (!names.empty()) {
    const auto comma = names.find(',');
    const auto name = trimmed(names.substr(0, comma));
    if (const auto* hub = catalog.find_hub(name))
      settings.hubs.push_back(hub->name);
    else if (!name.empty())
      return fail(Code::invalid_argument,
                  fmt::format("IOTHUB_NAMES names the hub '{}', which does not exist", name));
    names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
  }
  if (settings.hubs.empty()) {
    for (const auto& hub : catalog.hubs)
      if (equal_ignoring_case(hub.resource_group, app.resource_group))
        settings.hubs.push_back(hub.name);
  }
  return settings;
}

}  // namespace doppel::functions

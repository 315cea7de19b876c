#include "cli/profile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace doppel::cli {
namespace {

std::string environment(const char* name) {
  const char* value =
      std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
  return value == nullptr ? "" : value;
}

}  // namespace

std::string Profile::base_url() const {
  return https_port == 443 ? fmt::format("https://{}", host)
                           : fmt::format("https://{}:{}", host, https_port);
}

json::Value to_json(const Profile& p) {
  return json::Object{{"host", p.host},
                      {"httpsPort", p.https_port},
                      {"mqttPort", p.mqtt_port},
                      {"amqpPort", p.amqp_port},
                      {"emulatorPort", p.emulator_port},
                      {"caFile", p.ca_file},
                      {"tenant", p.tenant},
                      {"clientId", p.client_id},
                      {"clientSecret", p.client_secret},
                      {"subscription", p.subscription},
                      {"resourceGroup", p.resource_group},
                      {"hub", p.hub},
                      {"dps", p.dps},
                      {"twinsInstance", p.twins_instance},
                      {"eventNamespace", p.event_space},
                      {"functionApp", p.function_app},
                      {"enrollmentGroup", p.enrollment_group}};
}

Result<Profile> parse_profile(std::string_view text) {
  const auto parsed = json::parse(text);
  if (!parsed)
    return fail(Code::invalid_argument, "the CLI profile is not JSON: " + parsed.error().message);
  const auto get = [&](std::string_view name) { return json::get_string_or(*parsed, name, ""); };
  const auto port = [&](std::string_view name, std::uint16_t fallback) {
    const auto* value = json::find(*parsed, name);
    const auto number = value != nullptr ? json::to_int64(*value) : std::nullopt;
    return number && *number > 0 && *number < 65536 ? static_cast<std::uint16_t>(*number)
                                                    : fallback;
  };
  Profile p{.host = json::get_string_or(*parsed, "host", "localhost"),
            .https_port = port("httpsPort", 443),
            .mqtt_port = port("mqttPort", 8883),
            .amqp_port = port("amqpPort", 5671),
            .emulator_port = port("emulatorPort", 0),
            .ca_file = get("caFile"),
            .tenant = get("tenant"),
            .client_id = get("clientId"),
            .client_secret = get("clientSecret"),
            .subscription = get("subscription"),
            .resource_group = get("resourceGroup"),
            .hub = get("hub"),
            .dps = get("dps"),
            .twins_instance = get("twinsInstance"),
            .event_space = get("eventNamespace"),
            .function_app = get("functionApp"),
            .enrollment_group = get("enrollmentGroup")};
  if (p.client_id.empty() || p.client_secret.empty())
    return fail(Code::invalid_argument, "the CLI profile has no clientId or clientSecret");
  return p;
}

Result<Profile> read_profile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return fail(
        Code::not_found,
        fmt::format(
            "no CLI profile at {}: start the server first (`doppel serve`), or name its data "
            "directory with --data-dir",
            path));
  }
  return parse_profile(std::string(std::istreambuf_iterator<char>(file), {}));
}

Status write_profile(const std::string& path, const Profile& profile) {
  const std::string text = json::write_pretty(to_json(profile)) + "\n";
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0)
    return fail(Code::unavailable, fmt::format("cannot write {}: {}", fresh, std::strerror(errno)));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  if (!written || ::rename(fresh.c_str(), path.c_str()) != 0)
    return fail(Code::unavailable,
                fmt::format("cannot write {}: {}", path, std::strerror(written ? errno : why)));
  return {};
}

std::string default_data_dir() {
  if (auto named = environment("DOPPEL_DATA_DIR"); !named.empty()) return named;
  if (auto data = environment("XDG_DATA_HOME"); !data.empty()) return data + "/doppel";
  if (auto home = environment("HOME"); !home.empty() && ::geteuid() != 0)
    return home + "/.local/share/doppel";
  return "/var/lib/doppel";
}

std::string profile_path(const std::string& data_dir) { return data_dir + "/cli-profile.json"; }

}  // namespace doppel::cli

// An IoT hub elsewhere, as small as the saga needs it: identities and twins behind the service REST
// API, with answers that get lost, come late or never come.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "json/value.h"
#include "provisioning/remote_hub.h"
#include "security/sas.h"

namespace doppel::provisioning::testing {

inline constexpr std::string_view kRemoteKey = "cmVtb3RlLWh1Yi1rZXktcmVtb3RlLWh1Yg==";

class FakeRemoteHub final : public RemoteTransport {
 public:
  enum class Fault : std::uint8_t {
    none,
    before,  // no connection: nothing happens
    after,   // all happens, the answer is lost
    hang,    // nothing happens, and no answer within the time limit
    refuse,  // 403 with a text of IoT Hub's
    error,   // 500, nothing happens
  };
  struct Device {
    json::Object document;
    json::Object tags;
    json::Object desired;
    json::Object reported;
  };

  explicit FakeRemoteHub(const Clock& clock) : clock_(clock) {}

  // Of hub "far.example.net:8443", device "d".
  static std::string name(std::string_view device, std::string_view hub = "far.example.net:8443") {
    return fmt::format("{}/{}", hub, device);
  }
  Device* find(std::string_view device, std::string_view hub = "far.example.net:8443") {
    const auto at = devices.find(name(device, hub));
    return at == devices.end() ? nullptr : &at->second;
  }
  std::size_t count_of(std::string_view method) const {
    std::size_t count = 0;
    for (const auto& request : requests) count += request.method == method;
    return count;
  }

  Task<Result<RemoteReply>> send(RemoteRequest request, RemoteTimeouts timeouts,
                                 std::stop_token stop) override {
    requests.push_back(request);
    const Fault fault = on_call ? on_call(request) : Fault::none;
    if (before_call) before_call(request);
    switch (fault) {
      case Fault::before:
        co_return fail(Code::unavailable, "no connection");
      case Fault::hang:
        co_return co_await sleep_for(timeouts.total, stop)
            ? fail(Code::timeout, "no answer within the time limit")
            : fail(Code::cancelled, "stopped by the caller");
      case Fault::refuse:
        co_return RemoteReply{403, R"({"Message":"ErrorCode:IotHubQuotaExceeded;full",)"
                                   R"("ExceptionMessage":"Tracking ID:x"})"};
      case Fault::error:
        co_return RemoteReply{500, ""};
      case Fault::none:
      case Fault::after:
        break;
    }
    if (delay > Duration::zero()) co_await sleep_for(delay, stop);
    RemoteReply reply = handle(request);
    if (fault == Fault::after) co_return fail(Code::unavailable, "the connection ended");
    co_return reply;
  }

  std::map<std::string, Device> devices;  // by "authority/device"
  std::vector<RemoteRequest> requests;
  std::function<Fault(const RemoteRequest&)> on_call;
  std::function<void(const RemoteRequest&)> before_call;
  Duration delay{};

 private:
  static std::string header(const RemoteRequest& request, std::string_view name) {
    for (const auto& [key, value] : request.headers) {
      if (equal_ignoring_case(key, name)) return value;
    }
    return {};
  }
  static RemoteReply error(int status, std::string_view code) {
    return {status, fmt::format(R"({{"Message":"ErrorCode:{};","ExceptionMessage":""}})", code)};
  }
  static std::string etag_of(const Device& device) {
    return json::get_string_or(json::Value(device.document), "etag", "");
  }
  bool is_authorized(const RemoteRequest& request, std::string_view authority) const {
    const auto token = security::parse_sas(header(request, "Authorization"));
    return token && token->resource == authority &&
           security::verify_sas(*token, kRemoteKey, security::KeyForm::base64, clock_.now());
  }

  RemoteReply handle(const RemoteRequest& request) {
    // https://authority/devices/id?api-version=...
    const std::string rest = request.url.substr(std::string_view("https://").size());
    const std::string authority = rest.substr(0, rest.find('/'));
    const std::string path = rest.substr(authority.size(), rest.find('?') - authority.size());
    if (!is_authorized(request, authority)) return error(401, "IotHubUnauthorizedAccess");
    const bool is_twin = path.starts_with("/twins/");
    const std::string id = percent_decode(path.substr(path.rfind('/') + 1)).value_or("");
    Device* device = find(id, authority);
    std::string if_match = header(request, "If-Match");
    if (!if_match.empty()) if_match = if_match.substr(1, if_match.size() - 2);
    const bool creates = !is_twin && request.method == "PUT" && if_match.empty();
    if (device == nullptr && !creates) return error(404, "DeviceNotFound");
    if (device != nullptr && creates) return error(409, "DeviceAlreadyExists");
    if (!if_match.empty() && if_match != "*" && if_match != etag_of(*device)) {
      return error(412, "PreconditionFailed");
    }
    if (request.method == "DELETE") {
      devices.erase(name(id, authority));
      return {204, ""};
    }
    if (request.method == "PUT") {
      auto body = json::parse(request.body).value().get_object();
      if (is_twin) {
        write_twin(*device, body);
      } else {
        Device& target = devices[name(id, authority)];
        body["generationId"] =
            creates ? fmt::format("g{}", ++last_)
                    : json::get_string_or(json::Value(target.document), "generationId", "");
        body["etag"] = fmt::format("e{}", ++last_);
        target.document = body;
        device = &target;
      }
    }
    if (!is_twin) return {200, json::write(json::Value(device->document))};
    json::Object properties;
    properties["desired"] = device->desired;
    properties["reported"] = device->reported;
    json::Object twin;
    twin["deviceId"] = id;
    twin["tags"] = device->tags;
    twin["properties"] = std::move(properties);
    return {200, json::write(json::Value(twin))};
  }

  static void write_twin(Device& device, const json::Object& body) {
    const json::Value value(body);
    device.tags = json::find(value, "tags")->get_object();
    device.desired = json::find(*json::find(value, "properties"), "desired")->get_object();
  }

  const Clock& clock_;
  std::uint64_t last_ = 0;
};

}  // namespace doppel::provisioning::testing

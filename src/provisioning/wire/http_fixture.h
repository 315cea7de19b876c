// Requests to the routes of provisioning, devices' and services', without sockets.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/http/router.h"
#include "provisioning/testing.h"
#include "provisioning/wire/http_device.h"
#include "provisioning/wire/http_service.h"

namespace doppel::provisioning::testing {

class HttpTest : public ::testing::Test, public World {
 protected:
  HttpTest() {
    register_device_routes(router, provisioning);
    register_service_routes(
        router, provisioning,
        BearerCheck([](std::string_view header) -> Result<resources::Principal> {
          if (header != "Bearer reader") return fail(Code::unauthenticated, "no");
          resources::Principal reader;
          reader.roles = {{.role = "Reader", .scope = "/"}};
          return reader;
        }));
  }

  std::string policy_token(std::string_view resource = "localhost",
                           std::string_view policy = "provisioningserviceowner") {
    return security::make_sas(resource, kPolicyKey, security::KeyForm::base64, policy,
                              clock.now() + std::chrono::hours(1))
        .value_or("");
  }
  http::Response send(std::string method, std::string path, std::string body,
                      std::string authorization,
                      std::vector<std::pair<std::string, std::string>> headers = {},
                      std::string api_version = "2021-10-01") {
    http::Request request;
    request.method = std::move(method);
    request.path = path;
    request.target = std::move(path);
    if (!api_version.empty()) request.query = {{"api-version", std::move(api_version)}};
    request.headers.add("Host", "localhost");
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    if (!body.empty()) request.headers.add("Content-Type", "application/json; charset=utf-8");
    for (auto& [name, value] : headers) request.headers.add(name, value);
    request.body = std::move(body);
    request.tracking_id = "track";
    return run(router.handle(std::move(request)));
  }
  http::Response call(std::string method, std::string path, std::string body = "",
                      std::vector<std::pair<std::string, std::string>> headers = {}) {
    return send(std::move(method), std::move(path), std::move(body), policy_token(),
                std::move(headers));
  }
  static json::Value parsed(const http::Response& response) {
    return json::parse(response.body).value();
  }
  static std::string text(const http::Response& response, std::string_view name) {
    return json::get_string_or(parsed(response), name, "");
  }

  http::Router router;
};

}  // namespace doppel::provisioning::testing

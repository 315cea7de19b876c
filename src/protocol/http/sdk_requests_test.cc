// Requests of the Azure SDKs, byte for byte in what matters (docs/wire), each with the habit that a
// stricter or looser parser would trip over.
#include <gtest/gtest.h>

#include "protocol/http/parser.h"

namespace doppel::http {
namespace {

// The requests of one connection, read as they would arrive: header sections and bodies apart.
std::vector<Request> read_all(std::string_view wire) {
  RequestParser parser;
  std::vector<Request> requests;
  std::string buffer(wire);
  for (;;) {
    const auto progress = parser.feed(buffer);
    buffer.erase(0, progress.consumed);
    if (progress.state == ParseState::complete)
      requests.push_back(parser.take());
    else if (progress.state == ParseState::failed)
      ADD_FAILURE() << parser.refusal().reason;
    if (progress.state == ParseState::needs_more || progress.state == ParseState::failed) break;
  }
  EXPECT_EQ(buffer, "");
  return requests;
}

// Node's DPS client: the poll is a GET with a body on the same connection.
TEST(SdkRequestsTest, NodeRegistersAndPollsWithABody) {
  const auto requests = read_all(
      "PUT /0ne00000001/registrations/dev-1/register?api-version=2019-03-31 HTTP/1.1\r\n"
      "Accept: application/json\r\nUser-Agent: azure-iot-provisioning-device/1.9.1\r\n"
      "Content-Type: application/json; charset=utf-8\r\n"
      "Authorization: SharedAccessSignature "
      "sr=0ne00000001/registrations/dev-1&sig=abc%3D&skn=registration&se=1800000000\r\n"
      "Request-Id: 6d0c\r\nContent-Length: 26\r\nHost: localhost\r\nConnection: close\r\n\r\n"
      "{\"registrationId\":\"dev-1\"}"
      "GET /0ne00000001/registrations/dev-1/operations/5.3-1?api-version=2019-03-31 HTTP/1.1\r\n"
      "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n"
      "Host: localhost\r\n\r\n{}");
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_TRUE(requests[0].headers.get_or("Authorization", "").contains("sr=0ne00000001/reg"));
  EXPECT_EQ(requests[1].body, "{}");
}

// C misspells User-Agent and sends a body-less POST; .NET puts api-version last and encodes the
// registration id; curl of the documents sends a Content-Encoding that is none.
TEST(SdkRequestsTest, OddHeadersAndOrdersOfTheOthersPass) {
  const auto requests = read_all(
      "PUT /0ne1/registrations/a/register?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\n"
      "UserAgent: prov_device_client/1.0\r\nAccept: application/json\r\n"
      "Content-Type: application/json; charset=utf-8\r\nConnection: keep-alive\r\n"
      "Content-Encoding: utf-8\r\ncontent-length: 0\r\n\r\n"
      "PUT /0ne1/registrations/a%3Ab/register?forceRegistration=true&api-version=2019-03-31 "
      "HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].body, "");
  EXPECT_EQ(requests[1].path, "/0ne1/registrations/a%3Ab/register");
  EXPECT_EQ(requests[1].query_value("forceRegistration"), "true");
  EXPECT_EQ(requests[1].query_value("API-VERSION"), "2019-03-31");
}

// Node's hub device over HTTP: chunked, properties as headers in their own spelling.
TEST(SdkRequestsTest, NodeSendsTelemetryInChunks) {
  const auto requests = read_all(
      "POST /devices/dev-1/messages/events?api-version=2021-04-12 HTTP/1.1\r\n"
      "Host: localhost\r\nTransfer-Encoding: chunked\r\nIoTHub-MessageId: m 1\r\n"
      "iothub-to: /devices/dev-1/messages/events\r\niothub-app-Temperature: 22\r\n\r\n"
      "16\r\n{\"Temperature\": 22.75}\r\n0\r\n\r\n");
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].body, "{\"Temperature\": 22.75}");
  EXPECT_EQ(requests[0].headers.find("iothub-messageid"), "m 1");
}

// Registry.list() has a slash before its query; If-Match keeps its quotes; queries that hold a
// whole continuation token are long.
TEST(SdkRequestsTest, ServiceClientsKeepTheirSlashesAndQuotes) {
  const auto requests = read_all(
      "GET /devices/?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "DELETE /devices/dev-1?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n"
      "If-Match: \"*\"\r\n\r\n"
      "POST /enrollmentgroups/g1/attestationmechanism?api-version=2021-10-01 HTTP/1.1\r\n"
      "Host: localhost\r\nContent-Length: 0\r\n\r\n"
      "GET /models?continuationToken=" +
      std::string(8000, 'a') + "%3D%3D&api-version=2022-05-31 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].path, "/devices/");
  EXPECT_EQ(requests[1].headers.find("If-Match"), "\"*\"");
  EXPECT_TRUE(requests[3].query_value("continuationToken")->ends_with("aa=="));
}

}  // namespace
}  // namespace doppel::http

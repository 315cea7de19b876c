#include "protocol/mqtt/request_topic.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace doppel::mqtt {
namespace {

template <class T>
T get(std::string_view topic) {
  const auto parsed = parse_request_topic(topic);
  EXPECT_TRUE(parsed && std::holds_alternative<T>(*parsed)) << topic;
  return parsed && std::holds_alternative<T>(*parsed) ? std::get<T>(*parsed) : T{};
}

TEST(RequestTopicTest, ReadsWhatTheSdksPublish) {
  // Node and Python send uuids, C and .NET small numbers.
  EXPECT_EQ(get<DpsRegister>("$dps/registrations/PUT/iotdps-register/?$rid=1").rid, "1");
  const auto poll = get<DpsPoll>(
      "$dps/registrations/GET/iotdps-get-operationstatus/"
      "?$rid=5f1e6b0c-3b0a-4c8e-9a57-0a2f4a1f8d11&operationId=5.316aac5bdc130deb.b1e0-2da8");
  EXPECT_EQ(poll.rid, "5f1e6b0c-3b0a-4c8e-9a57-0a2f4a1f8d11");
  EXPECT_EQ(poll.operation_id, "5.316aac5bdc130deb.b1e0-2da8");
  EXPECT_EQ(get<TwinGet>("$iothub/twin/GET/?$rid=42").rid, "42");
  const auto plain = get<TwinPatchReported>("$iothub/twin/PATCH/properties/reported/?$rid=42");
  EXPECT_EQ(plain.rid, "42");
  EXPECT_FALSE(plain.base_version);
  EXPECT_EQ(get<TwinPatchReported>("$iothub/twin/PATCH/properties/reported/?$rid=4&$version=17")
                .base_version,
            17);
  const auto reply = get<MethodReply>("$iothub/methods/res/200/?$rid=a1");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.rid, "a1");
  EXPECT_EQ(get<MethodReply>("$iothub/methods/res/-5/?$rid=a1").status, -5);
}

TEST(RequestTopicTest, RefusesWhatCannotBeAnswered) {
  for (const auto* topic :
       {"",
        "$dps",
        "$dps/registrations/",
        "$dps/registrations/PUT/iotdps-register/",
        "$dps/registrations/PUT/iotdps-register/$rid=1",
        "$dps/registrations/PUT/iotdps-register/?$rid=",
        "$dps/registrations/PUT/other/?$rid=1",
        "$dps/registrations/PUT/iotdps-register/?rid=1",
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=",
        "$dps/registrations/PUT/iotdps-register/?$rid=1&retry",
        "$dps/registrations/res/200/?$rid=1",
        "$iothub/twin/GET/",
        "$iothub/twin/GET/?$rid",
        "$iothub/twin/PATCH/properties/desired/?$rid=1",
        "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x",
        "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=99999999999999999999",
        "$iothub/methods/res/abc/?$rid=1",
        "$iothub/methods/res//?$rid=1",
        "$iothub/methods/res/200?$rid=1",
        "$iothub/methods/res/99999999999/?$rid=1",
        "devices/d/messages/events/"})
    EXPECT_FALSE(parse_request_topic(topic)) << topic;
}

TEST(RequestTopicTest, GivesDpsItsRequestIdsBackAsTheyCame) {
  const std::string topic = "$dps/registrations/PUT/iotdps-register/?$rid=";
  for (const auto& rid : std::vector<std::string>{"{0f}", "a b", "%41%2f", "a=b",
                                                  std::string(kDpsRidBytesMax, 'r')}) {
    EXPECT_EQ(get<DpsRegister>(topic + rid).rid, rid);
    EXPECT_EQ(dps_response_topic(200, rid), "$dps/registrations/res/200/?$rid=" + rid);
  }
  EXPECT_FALSE(parse_request_topic(topic + std::string(kDpsRidBytesMax + 1, 'r')));
}

TEST(RequestTopicTest, ReadsOperationIdsInAnyCaseAndEncoding) {
  const auto poll = get<DpsPoll>(
      "$dps/registrations/GET/iotdps-get-operationstatus/?operationid=4%2Ea&$rid=2&x=");
  EXPECT_EQ(poll.rid, "2");
  EXPECT_EQ(poll.operation_id, "4.a");
}

TEST(RequestTopicTest, WritesTopicsThatEverySdkParses) {
  EXPECT_EQ(dps_response_topic(202, "7", 3), "$dps/registrations/res/202/?$rid=7&retry-after=3");
  EXPECT_EQ(dps_response_topic(200, "7"), "$dps/registrations/res/200/?$rid=7");
  EXPECT_EQ(twin_response_topic(204, "a-b", 9), "$iothub/twin/res/204/?$rid=a-b&$version=9");
  EXPECT_EQ(twin_response_topic(200, "1"), "$iothub/twin/res/200/?$rid=1");
  EXPECT_EQ(twin_desired_topic(5), "$iothub/twin/PATCH/properties/desired/?$version=5");
  EXPECT_EQ(method_request_topic("reboot", "f"), "$iothub/methods/POST/reboot/?$rid=f");
  EXPECT_EQ(method_request_topic("a~b!c&d", "f"), "$iothub/methods/POST/a~b!c&d/?$rid=f");
  EXPECT_EQ(method_request_topic("50%+#", "f"), "$iothub/methods/POST/50%25%2B%23/?$rid=f");
  EXPECT_EQ(method_request_topic("a/b", "f"), "");
  EXPECT_EQ(method_request_topic("", "f"), "");
}

// A device may not smuggle a second pair into its own answer.
TEST(RequestTopicTest, ARidWithMarksStaysOnePair) {
  const auto rid = get<TwinGet>("$iothub/twin/GET/?$rid=1%26$version%3D9").rid;
  EXPECT_EQ(twin_response_topic(200, rid), "$iothub/twin/res/200/?$rid=1%26%24version%3D9");
}

}  // namespace
}  // namespace doppel::mqtt

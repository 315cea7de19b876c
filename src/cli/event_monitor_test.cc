// A monitor and a server's engine joined in memory: no socket, time by hand.
#include "cli/event_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/request_node.h"
#include "security/sas.h"

namespace doppel::cli {
namespace {

using amqp::testing::Endpoint;
using amqp::testing::TestContainer;
using amqp::testing::TestHandler;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers requests to $cbs with one status and remembers them.
class Cbs final : public amqp::RequestNode {
 public:
  void on_request(const amqp::Request& request, Answer answer) override {
    types.push_back(request.property("type"));
    audiences.push_back(request.property("name"));
    const auto body = amqp::decode_body_value(request.message);
    const auto* token = body.has_value() ? body->text_if() : nullptr;
    tokens.push_back(token == nullptr ? "" : *token);
    answer({.status = status, .description = status == 202 ? "Accepted" : "bad signature"});
  }
  std::vector<std::string> types, audiences, tokens;
  std::int32_t status = 202;
};

class EventMonitorTest : public ::testing::Test {
 protected:
  EventMonitorTest() : server_(executor_), client_(executor_) {
    container_.on_link = [this](std::shared_ptr<amqp::Link> link) {
      if (link->address() == "$cbs") return cbs_.on_attach(std::move(link));
      addresses_.emplace_back(link->address());
      const auto& source = std::get<amqp::Source>(link->request().source);
      const auto* filter = source.filter->find("apache.org:selector-filter:string");
      filters_.push_back(*filter->described_if()->value.text_if());
      if (addresses_.back() == refused_)
        return link->refuse(
            {.condition = "amqp:not-found", .description = "there is no such group"});
      link->attach(std::make_shared<TestHandler>(), {});
      links_.push_back(std::move(link));
    };
    server_.engine =
        amqp::ConnectionEngine::server(server_.transport, container_, {.container_id = "server"});
  }

  void start() {
    clock_.set(TimePoint(std::chrono::seconds(1'700'000'000)));
    monitor_ = std::make_unique<EventMonitor>(
        EventMonitorOptions{.host = "localhost",
                            .entity = "hub1",
                            .consumer_group = "cg",
                            .partitions = {"0", "1"},
                            .key_name = "iothubowner",
                            .key = "a2V5",
                            .from = TimePoint(std::chrono::milliseconds(1'700'000'000'123))},
        clock_,
        EventMonitor::Handlers{.on_ready = [this] { ++ready_; },
                               .on_event =
                                   [this](const amqp::MessageView& event) {
                                     std::string room;
                                     events_.emplace_back(amqp::joined_data(event, room));
                                   },
                               .on_end =
                                   [this](Status status) {
                                     ++ends_;
                                     outcome_ = std::move(status);
                                   }});
    client_.engine = amqp::ConnectionEngine::client(
        client_.transport, *monitor_,
        {.container_id = "client", .hostname = "localhost", .sasl_mechanism = "ANONYMOUS"});
    monitor_->watch(client_.engine);
    client_.engine->start();
    run();
  }
  void run() {
    bool has_moved = true;
    while (has_moved) {
      has_moved = executor_.run_until_idle();
      has_moved |= server_.work();
      has_moved |= client_.work();
      has_moved |= carry(server_, client_);
      has_moved |= carry(client_, server_);
    }
  }
  static bool carry(Endpoint& from, Endpoint& to) {
    const auto bytes = from.take();
    if (!bytes.empty()) to.receive(bytes);
    return !bytes.empty();
  }
  void send(std::size_t link, std::string_view text) {
    std::string message;
    amqp::append_data_section(message, text);
    const std::string_view pieces[] = {message};
    links_.at(link)->send(pieces, {.is_settled = false});
    run();
  }

  doppel::testing::ManualClock clock_;
  doppel::testing::ManualExecutor executor_{clock_};
  TestContainer container_;
  Cbs cbs_;
  std::unique_ptr<EventMonitor> monitor_;
  Endpoint server_, client_;
  std::vector<std::shared_ptr<amqp::Link>> links_;
  std::vector<std::string> addresses_, filters_, events_;
  std::string refused_;
  int ready_ = 0, ends_ = 0;
  Status outcome_{};
};

TEST_F(EventMonitorTest, ProvesItsKeyThenReadsEveryPartition) {
  start();
  EXPECT_THAT(cbs_.types, ElementsAre("servicebus.windows.net:sastoken"));
  EXPECT_THAT(cbs_.audiences, ElementsAre("sb://localhost/hub1"));
  const auto token = security::parse_sas(cbs_.tokens.at(0));
  ASSERT_TRUE(token);
  EXPECT_TRUE(security::verify_sas(*token, "a2V5", security::KeyForm::text, clock_.now()));
  EXPECT_EQ(token->key_name, "iothubowner");
  EXPECT_THAT(addresses_, ElementsAre("hub1/ConsumerGroups/cg/Partitions/0",
                                      "hub1/ConsumerGroups/cg/Partitions/1"));
  EXPECT_THAT(filters_, ElementsAre("amqp.annotation.x-opt-enqueued-time > '1700000000123'",
                                    "amqp.annotation.x-opt-enqueued-time > '1700000000123'"));
  EXPECT_EQ(ready_, 1);
  send(0, "first");
  send(1, "second");
  EXPECT_THAT(events_, ElementsAre("first", "second"));
  EXPECT_EQ(ends_, 0);
}

TEST_F(EventMonitorTest, GivesCreditBackForAsLongAsEventsCome) {
  start();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(links_.at(0)->can_send()) << i;
    send(0, "x");
  }
  EXPECT_EQ(events_.size(), 1000u);
}

TEST_F(EventMonitorTest, ARefusedTokenEndsItWithTheReason) {
  cbs_.status = 401;
  start();
  EXPECT_EQ(ends_, 1);
  ASSERT_FALSE(outcome_);
  EXPECT_EQ(outcome_.error().code, Code::unauthenticated);
  EXPECT_THAT(outcome_.error().message, HasSubstr("401"));
  EXPECT_THAT(outcome_.error().message, HasSubstr("bad signature"));
  EXPECT_TRUE(addresses_.empty());
}

TEST_F(EventMonitorTest, AConsumerGroupThatIsNotThereEndsItWithTheReason) {
  refused_ = "hub1/ConsumerGroups/cg/Partitions/1";
  start();
  EXPECT_EQ(ends_, 1);
  ASSERT_FALSE(outcome_);
  EXPECT_EQ(outcome_.error().code, Code::not_found);
  EXPECT_THAT(outcome_.error().message, HasSubstr("there is no such group"));
  EXPECT_EQ(ready_, 0);
}

TEST_F(EventMonitorTest, ANewTokenIsPutOnTheSameLinks) {
  start();
  monitor_->renew();
  run();
  EXPECT_EQ(cbs_.tokens.size(), 2u);
  EXPECT_EQ(addresses_.size(), 2u) << "the partitions are read once";
  cbs_.status = 401;
  monitor_->renew();
  run();
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(outcome_);
}

TEST_F(EventMonitorTest, StoppingIsNoError) {
  start();
  monitor_->stop();
  run();
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(outcome_);
  monitor_->stop();
  monitor_->renew();
  run();
  EXPECT_EQ(ends_, 1);
}

TEST_F(EventMonitorTest, ALostConnectionIsAnError) {
  start();
  client_.engine->on_transport_closed();
  run();
  EXPECT_EQ(ends_, 1);
  ASSERT_FALSE(outcome_);
  EXPECT_EQ(outcome_.error().code, Code::unavailable);
}

TEST_F(EventMonitorTest, ALinkThatTheServerEndsIsAnError) {
  start();
  links_.at(1)->detach(amqp::Condition{.condition = "amqp:link:stolen",
                                       .description = "another consumer with a higher epoch"});
  run();
  EXPECT_EQ(ends_, 1);
  ASSERT_FALSE(outcome_);
  EXPECT_THAT(outcome_.error().message, HasSubstr("partition 1"));
  EXPECT_THAT(outcome_.error().message, HasSubstr("higher epoch"));
}

}  // namespace
}  // namespace doppel::cli

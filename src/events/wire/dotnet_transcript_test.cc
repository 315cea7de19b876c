// What the older .NET client (Microsoft.Azure.EventHubs 4.x, which C# functions use) says, byte for
// byte (tests/vectors/amqp/dotnet.txt, written by rhea), played to the connection engine with
// $cbs, $management and event hubs behind it. The answers are those that this client casts and
// compares without mercy (event-hubs.md sections 0, 4 to 7).
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "events/wire/event_hub_fixture.h"
#include "protocol/amqp/cbs.h"
#include "protocol/amqp/testing.h"

namespace doppel::events {
namespace {

using amqp::testing::describe;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::map<std::string, std::string> read_transcript() {
  std::map<std::string, std::string> found;
  std::ifstream file("tests/vectors/amqp/dotnet.txt");
  for (std::string line; std::getline(file, line);) {
    const auto tab = line.find('\t');
    if (tab == line.npos) continue;
    found[line.substr(0, tab)] = hex_decode(line.substr(tab + 1)).value();
  }
  return found;
}

class DotnetTranscript : public EventHubFixture, private amqp::TokenAuthority {
 protected:
  DotnetTranscript() {
    pair.container.on_link = [this](std::shared_ptr<amqp::Link> link) {
      if (link->address() == amqp::kCbsNode) return cbs_.on_attach(std::move(link));
      service.on_attach(std::move(link));
    };
    server_.engine =
        amqp::ConnectionEngine::server(server_.transport, pair.container, {.container_id = "s"});
  }
  // What its links still have to tell refers to the service.
  ~DotnetTranscript() override {
    server_.engine->on_transport_closed();
    run();
  }

  // Plays a line and returns what the server says to it: for each frame the channel of the client's
  // session it belongs to, and its text. A header or SASL frame has no channel.
  std::vector<std::string> play(const std::string& name) {
    const auto line = transcript_.find(name);
    if (line == transcript_.end()) {
      ADD_FAILURE() << "there is no line " << name;
      return {};
    }
    if (!is_slow_) {
      server_.receive(line->second);
      run();
    } else {
      for (const char byte : line->second) {
        server_.receive({&byte, 1});
        run();
      }
    }
    return take();
  }
  // The same, of which one answer is of interest.
  std::string answer(const std::string& name, std::string_view kind) {
    const auto all = play(name);
    for (const auto& one : all)
      if (one.find(kind) != one.npos) return one;
    ADD_FAILURE() << name << ": no " << kind << " among " << ::testing::PrintToString(all);
    return {};
  }
  void open(std::initializer_list<int> sessions) {
    for (const auto* name : {"sasl-header", "sasl-init", "open"}) play(name);
    for (const int session : sessions) play("begin-" + std::to_string(session));
  }
  void prove() {
    for (const auto* name :
         {"cbs-attach", "cbs-credit", "cbs-token", "cbs-token-svc", "cbs-token-receive"})
      play(name);
  }
  // Bodies of the events among answers.
  static std::vector<std::string> bodies_of(const std::vector<std::string>& answers) {
    std::vector<std::string> found;
    for (const auto& one : answers) {
      const auto at = one.find(" data ");
      if (at != one.npos) found.push_back(one.substr(at + 6));
    }
    return found;
  }

  bool is_slow_ = false;  // byte after byte

 private:
  void verify(std::shared_ptr<amqp::Connection>, amqp::TokenRequest request,
              Answer answer) override {
    answer(verify_token(*catalog, nullptr, request.audience, request.token, pair.clock.now()));
  }

  void run() {
    bool has_moved = true;
    while (has_moved) {
      has_moved = pair.executor.run_until_idle();
      has_moved |= server_.work();
    }
  }

  std::vector<std::string> take() {
    std::vector<std::string> said;
    const auto bytes = server_.take();
    std::string_view rest = bytes;
    while (!rest.empty()) {
      if (rest.starts_with("AMQP")) {
        said.push_back("header " + std::to_string(rest[4]));
        rest.remove_prefix(amqp::kProtocolHeaderBytes);
        continue;
      }
      const auto header = amqp::decode_frame_header(rest);
      if (!header.has_value() || header->size > rest.size()) {
        ADD_FAILURE() << "a frame is not whole";
        break;
      }
      const auto body = rest.substr(header->body_offset, header->size - header->body_offset);
      said.push_back(header->type == 1 ? describe(*amqp::decode_sasl_frame(body))
                                       : text_of(header->channel, body));
      rest.remove_prefix(header->size);
    }
    return said;
  }

  std::string text_of(std::uint16_t channel, std::string_view body) {
    const auto decoded = amqp::decode_performative(body);
    if (!decoded.has_value()) return "malformed";
    if (const auto* begin = std::get_if<amqp::Begin>(&decoded->performative))
      sessions_[channel] = begin->remote_channel.value();
    if (std::holds_alternative<amqp::Open>(decoded->performative) ||
        std::holds_alternative<amqp::Close>(decoded->performative))
      return describe(decoded->performative);
    auto text = std::to_string(sessions_.at(channel)) + ": " + describe(decoded->performative);
    const auto payload = body.substr(decoded->consumed);
    return payload.empty() ? text : text + describe_message(payload);
  }

  static std::string describe_message(std::string_view payload) {
    const auto message = amqp::split_message(payload);
    if (!message.has_value()) return " malformed message";
    std::string out;
    for (const auto* section : {&message->delivery_annotations, &message->message_annotations,
                                &message->application_properties})
      if (section->is_present()) out += " " + describe(amqp::Value(*amqp::decode_map(*section)));
    out += " " + describe(*amqp::decode_properties(*message));
    if (message->body_kind == amqp::BodyKind::amqp_value)
      return out + " value " + describe(*amqp::decode_body_value(*message));
    std::string room;
    return out + " data " + std::string(amqp::joined_data(*message, room));
  }

  const std::map<std::string, std::string> transcript_ = read_transcript();
  amqp::CbsService cbs_{*this};
  amqp::testing::Endpoint server_{pair.executor};
  std::map<std::uint16_t, std::uint16_t> sessions_;  // our channel to the client's
};

TEST_F(DotnetTranscript, IsLetInByTheOnlyMechanismItKnowsWithoutAnInitialResponse) {
  // A mechanism list may come before the client's header is whole; the order is the client's.
  EXPECT_THAT(play("sasl-header"), ElementsAre("header 3", HasSubstr("MSSBCBS")));
  EXPECT_THAT(play("sasl-init"), ElementsAre("sasl-outcome"));
  const auto opened = play("open");
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(opened[0], "header 0");
  EXPECT_THAT(opened[1],
              AllOf(HasSubstr("max-frame-size=uint:65536"), HasSubstr("channel-max=ushort:4999"),
                    HasSubstr("idle-time-out=uint:240000")));
  EXPECT_THAT(play("begin-0"), ElementsAre(AllOf(HasSubstr("0: begin remote-channel=ushort:0"),
                                                 HasSubstr("handle-max=uint:255"))));
  EXPECT_THAT(play("begin-1"), ElementsAre(HasSubstr("1: begin remote-channel=ushort:1")));
  EXPECT_THAT(play("empty"), IsEmpty());
  EXPECT_THAT(play("close"), ElementsAre("close"));
}

TEST_F(DotnetTranscript, PutsATokenAndIsAnsweredAtItsReplyAddress) {
  open({0});
  const auto attached = play("cbs-attach");
  ASSERT_EQ(attached.size(), 3u) << ::testing::PrintToString(attached);
  EXPECT_THAT(attached[0], AllOf(HasSubstr("0: attach"), HasSubstr("role=receiver"),
                                 HasSubstr("snd-settle-mode=1"), HasSubstr("address=string:$cbs"),
                                 HasSubstr("properties={")));
  play("cbs-credit");
  // The type and value of the message id, an int for a status, and nothing to settle.
  const auto told = answer("cbs-token", "transfer");
  EXPECT_THAT(told, AllOf(HasSubstr("settled=bool:true"), HasSubstr("correlation-id=ulong:0"),
                          HasSubstr("string:status-code=int:200"),
                          HasSubstr("string:status-description=string:")));
}

TEST_F(DotnetTranscript, IsToldWhyATokenIsRefused) {
  open({0});
  prove();
  const auto told = answer("cbs-token-forged", "transfer");
  EXPECT_THAT(told,
              AllOf(HasSubstr("correlation-id=ulong:3"), HasSubstr("string:status-code=int:401"),
                    HasSubstr("string:error-condition=symbol:amqp:unauthorized-access")));
}

TEST_F(DotnetTranscript, ReadsPropertiesInTheTypesItCastsTo) {
  open({0, 1});
  prove();
  play("svc-attach");
  play("svc-credit");
  EXPECT_THAT(
      answer("svc-event-hub", "transfer"),
      AllOf(HasSubstr("correlation-id=ulong:0"), HasSubstr("string:status-code=int:200"),
            HasSubstr("string:name=string:eh1"), HasSubstr("string:created_at=timestamp:"),
            HasSubstr("string:partition_count=int:4"),
            HasSubstr("string:partition_ids=array<string>[string:0,string:1,string:2,string:3]")));
  EXPECT_THAT(answer("svc-partition", "transfer"),
              AllOf(HasSubstr("correlation-id=ulong:1"), HasSubstr("string:partition=string:0"),
                    HasSubstr("string:begin_sequence_number=long:0"),
                    HasSubstr("string:last_enqueued_sequence_number=long:-1"),
                    HasSubstr("string:last_enqueued_offset=string:-1"),
                    HasSubstr("string:last_enqueued_time_utc=timestamp:"),
                    HasSubstr("string:is_partition_empty=bool:true")));
  EXPECT_THAT(answer("svc-missing", "transfer"),
              AllOf(HasSubstr("string:status-code=int:404"),
                    HasSubstr("string:error-condition=symbol:amqp:not-found")));
}

TEST_F(DotnetTranscript, SendsSinglesAndBatchesAndGetsAVerdictOnEach) {
  open({0, 2, 3});
  prove();
  const auto attached = play("send-attach");
  ASSERT_EQ(attached.size(), 2u) << ::testing::PrintToString(attached);
  EXPECT_THAT(attached[0], AllOf(HasSubstr("2: attach"), HasSubstr("role=receiver"),
                                 HasSubstr("max-message-size=ulong:1048576"),
                                 HasSubstr("address=string:/eh1/Partitions/0")));
  EXPECT_THAT(attached[1], AllOf(HasSubstr("2: flow"), HasSubstr("link-credit=uint:300")));
  const auto verdict = [](int id) {
    return AllOf(HasSubstr("2: disposition role=receiver"),
                 HasSubstr("last=uint:" + std::to_string(id) + " settled=bool:true"),
                 HasSubstr("state=(accepted)"));
  };
  EXPECT_THAT(answer("send-single", "disposition"), verdict(0));
  EXPECT_THAT(answer("send-batch", "disposition"), verdict(1));
  EXPECT_THAT(answer("send-batch-in-two", "disposition"), verdict(2));
  EXPECT_EQ(log.bounds({.log = {"ns1", "eh1"}, .index = 0}).next.value, 5u);

  const auto refused = play("send-attach-missing");
  ASSERT_EQ(refused.size(), 2u) << ::testing::PrintToString(refused);
  EXPECT_THAT(refused[0], AllOf(HasSubstr("3: attach"), Not(HasSubstr("target="))));
  EXPECT_THAT(refused[1], AllOf(HasSubstr("3: detach"), HasSubstr("closed=bool:true"),
                                HasSubstr("condition=symbol:amqp:not-found")));
  EXPECT_THAT(play("send-detach"),
              ElementsAre(HasSubstr("2: detach closed=bool:true"), HasSubstr("2: end")));
}

class DotnetReceivers : public DotnetTranscript {
 protected:
  // Leaves events "one" to "four" and a long one in partition 0.
  DotnetReceivers() {
    open({0, 2, 4, 5, 6, 7});
    prove();
    for (const auto* name : {"send-attach", "send-single", "send-batch"}) play(name);
  }
};

TEST_F(DotnetReceivers, ReceiveFromTheStartSettledWithAnnotationsOfTheTypesItCastsTo) {
  const auto said = play("receive-start");
  ASSERT_EQ(said.size(), 4u) << ::testing::PrintToString(said);
  EXPECT_THAT(said[0], AllOf(HasSubstr("4: attach"), HasSubstr("filter={symbol:apache.org:"),
                             HasSubstr("properties={")));
  EXPECT_THAT(said[1], AllOf(HasSubstr("4: transfer"), HasSubstr("settled=bool:true"),
                             HasSubstr("symbol:x-opt-sequence-number=long:0"),
                             HasSubstr("symbol:x-opt-offset=string:0"),
                             HasSubstr("symbol:x-opt-enqueued-time=timestamp:1800000000000"),
                             HasSubstr("last_enqueued_sequence_number=long:2"),
                             HasSubstr("last_enqueued_offset=string:2"),
                             HasSubstr("{string:source=string:dotnet,string:n=int:3}")));
  EXPECT_THAT(bodies_of(said), ElementsAre("one", "two", "three"));
}

TEST_F(DotnetReceivers, UnderstandBareValuesInSelectors) {
  const std::pair<const char*, std::vector<std::string>> kinds[] = {
      {"receive-offset", {"two", "three"}},
      {"receive-sequence", {"three"}},
      {"receive-time", {"one", "two", "three"}},
      {"receive-end", {}}};
  for (const auto& [name, wanted] : kinds) {
    EXPECT_EQ(bodies_of(play(name)), wanted) << name;
    EXPECT_THAT(play("receive-detach"), ElementsAre(HasSubstr("detach closed=bool:true"))) << name;
  }
}

TEST_F(DotnetReceivers, GetWhatComesAfterTheEndTheyAskedFor) {
  play("receive-end");
  EXPECT_THAT(bodies_of(play("send-batch-in-two")), ElementsAre(std::string(700, 'x'), "four"));
}

TEST_F(DotnetReceivers, TakeThePartitionByAHigherEpoch) {
  EXPECT_THAT(play("receive-epoch-5"), ElementsAre(HasSubstr("5: attach")));
  const auto taken = play("receive-epoch-6");
  EXPECT_THAT(taken,
              ::testing::Contains(AllOf(HasSubstr("5: detach"), HasSubstr("closed=bool:true"),
                                        HasSubstr("condition=symbol:amqp:link:stolen"))));
  EXPECT_THAT(taken, ::testing::Contains(HasSubstr("6: attach")));
  const auto late = play("receive-epoch-4");
  EXPECT_THAT(late, ElementsAre(AllOf(HasSubstr("7: attach"), Not(HasSubstr("source=(source a"))),
                                AllOf(HasSubstr("7: detach"), HasSubstr("amqp:link:stolen"))));
}

// However TCP cuts it.
TEST_F(DotnetTranscript, MeansTheSameByteAfterByte) {
  is_slow_ = true;
  open({0, 2, 4});
  prove();
  for (const auto* name : {"send-attach", "send-single", "send-batch", "send-batch-in-two"})
    play(name);
  EXPECT_THAT(bodies_of(play("receive-start")),
              ElementsAre("one", "two", "three", std::string(700, 'x'), "four"));
}

}  // namespace
}  // namespace doppel::events

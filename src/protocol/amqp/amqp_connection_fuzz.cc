// A peer that sends anything to a server. The first byte says how the rest is read: as bytes of a
// fresh connection, as bytes of one that is open, or as a list of frames that are well formed, with
// fields from the input. Whatever comes, what the engine answers are whole frames that can be read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/amqp/engine_testing.h"

namespace doppel::amqp {
namespace {

using testing::RawPeer;

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool is_empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  // Mostly small, now and then any.
  std::uint32_t number() {
    const auto first = byte();
    if (first < 0xf0) return first % 16;
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  bool flag() { return (byte() & 1) != 0; }
  std::string_view rest() { return std::exchange(bytes_, {}); }
  std::string_view take(std::size_t size) {
    const auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view bytes_;
};

// Judges every other message at once, sends while it can, ends itself now and then.
struct Handler final : LinkHandler {
  explicit Handler(std::shared_ptr<Link> opened) : link(std::move(opened)) {}
  void on_message(const Delivery& delivery) override {
    switch (++count % 7) {
      case 1:
        return link->accept(delivery.id);
      case 2:
        return link->reject(delivery.id, {.condition = "amqp:not-allowed"});
      case 3:
        return link->release(delivery.id - 1);
      case 4:
        return link->accept(delivery.id + 1);
      case 5:
        return link->modify(delivery.id, true, false);
      case 6:
        return link->set_credit(count * 3 % 20);
      default:
        if (count % 49 == 0) link->detach(Condition{.condition = "amqp:link:stolen"});
    }
  }
  void on_can_send() override {
    const std::string text(count % 5 == 4 ? 5000 : 5, 'x');
    const std::string_view pieces[] = {"head", text};
    for (int i = 0; i < 4 && link->can_send(); ++i)
      link->send(pieces, {.is_settled = ++count % 2 == 0});
  }
  bool on_drain() override { return count % 3 != 0; }
  void on_detached(const Condition*) override { link.reset(); }

  std::shared_ptr<Link> link;
  std::uint32_t count = 0;
};

Attach make_attach(Input& in) {
  const auto role = in.flag() ? Role::sender : Role::receiver;
  auto attach = RawPeer::attach_frame("n" + std::to_string(in.byte() % 8), in.number(), role,
                                      in.flag() ? "eh" : "late");
  attach.snd_settle_mode = static_cast<SenderSettleMode>(in.byte() % 3);
  attach.rcv_settle_mode = static_cast<ReceiverSettleMode>(in.byte() % 2);
  if (in.flag()) attach.initial_delivery_count = in.number();
  if (in.flag()) attach.properties = Map{};
  return attach;
}

Flow make_flow(Input& in) {
  Flow flow;
  if (in.flag()) flow.next_incoming_id = in.number();
  flow.incoming_window = in.number();
  flow.next_outgoing_id = in.number();
  if (in.flag()) flow.handle = in.number();
  if (in.flag()) flow.delivery_count = in.number();
  if (in.flag()) flow.link_credit = in.number();
  flow.drain = in.flag();
  flow.echo = in.flag();
  return flow;
}

Transfer make_transfer(Input& in) {
  Transfer transfer;
  transfer.handle = in.number();
  if (!in.flag()) transfer.delivery_id = in.number();
  transfer.more = in.flag();
  transfer.aborted = in.byte() % 16 == 0;
  if (in.flag()) transfer.settled = in.flag();
  return transfer;
}

Disposition make_disposition(Input& in) {
  Disposition disposition;
  disposition.role = Role{in.flag()};
  disposition.first = in.number();
  if (in.flag()) disposition.last = in.number();
  disposition.settled = in.flag();
  if (in.flag()) disposition.state = Accepted{};
  return disposition;
}

void send_one(RawPeer& peer, Input& in) {
  const auto what = in.byte();
  const auto channel = static_cast<std::uint16_t>(what / 16 % 4);
  switch (what % 12) {
    case 0:
      return peer.send(channel, Begin{.incoming_window = in.number()});
    case 1:
    case 2:
      return peer.send(channel, make_attach(in));
    case 3:
    case 4:
      return peer.send(channel, make_flow(in));
    case 5:
    case 6:
    case 7: {
      const auto transfer = make_transfer(in);
      return peer.send(channel, transfer, std::string(in.byte() * 16U, 'x'));
    }
    case 8:
      return peer.send(channel, make_disposition(in));
    case 9:
      return peer.send(channel, Detach{.handle = in.number(), .closed = in.flag()});
    case 10:
      return what > 200 ? peer.send(channel, End{}) : peer.bytes({});
    default: {
      std::string frame;
      const auto start = begin_frame(frame, FrameType::amqp, channel);
      frame += in.take(in.byte());
      end_frame(frame, start);
      return peer.bytes(frame);
    }
  }
}

void run(std::string_view bytes) {
  Input in(bytes);
  const auto mode = in.byte();
  RawPeer peer({.limits = {.frame_bytes_max = mode % 2 == 0 ? 512U : 65536U,
                           .incoming_window = 64,
                           .links_max = 16,
                           .assembly_bytes_max = 20'000,
                           .unjudged_bytes_max = 20'000}});
  std::vector<std::shared_ptr<Link>> late;
  peer.container.on_link = [&](std::shared_ptr<Link> link) {
    if (link->address() == "late" && late.size() < 8) return late.push_back(std::move(link));
    auto handler = std::make_shared<Handler>(link);
    link->attach(std::move(handler), {.max_message_size = 10'000, .credit = 20});
  };
  switch (mode % 3) {
    case 0:
      peer.bytes(in.rest());
      break;
    case 1:
      peer.open();
      peer.bytes(in.rest());
      break;
    default:
      peer.open();
      while (!in.is_empty()) send_one(peer, in);
  }
  for (const auto& link : late) {
    if (link->name() == "n1")
      link->refuse({.condition = "amqp:not-found"});
    else
      link->attach(std::make_shared<Handler>(link), {});
  }
  peer.frames();  // checks that they can be read
  auto now = SteadyTime(std::chrono::seconds(1));
  for (int i = 0; i < 4; ++i) {
    peer.server.engine->tick(now);
    now += std::chrono::seconds(100);
  }
  peer.server.engine->stop();
  peer.frames();
  check(peer.server.transport.backlog() == 0, "everything that was written was taken");
}

}  // namespace
}  // namespace doppel::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  doppel::amqp::run({reinterpret_cast<const char*>(data), size});
  return 0;
}

// NATS's client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol) as far
// as JetStream needs it: publish with acknowledgement, and an ephemeral push consumer with flow
// control. One inbox for the acknowledgements (subscription 1), one for what is read (2).
#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "event_client.h"
#include "net/dial.h"

namespace doppel::bench {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::int64_t kHeartbeat_ns = 30'000'000'000;  // flow control needs one

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const auto space = line.find(' ');
    if (space != 0) words.push_back(line.substr(0, space));
    if (space == line.npos) break;
    line.remove_prefix(space + 1);
  }
  return words;
}

class NatsClient final : public EventClient, public net::StreamReceiver, public net::StreamOwner {
 public:
  NatsClient(net::Loop& loop, EventSink& sink, EventClientOptions options)
      : loop_(loop),
        sink_(sink),
        options_(std::move(options)),
        inbox_(fmt::format("_INBOX.{}", options_.index)),
        publish_(fmt::format("PUB {} {}.a {}\r\n{}\r\n", options_.write_to, inbox_,
                             options_.message.size(), options_.message)) {}

  void bind(std::shared_ptr<NatsClient> self) { self_ = std::move(self); }

  void connect() override {
    const auto fd = net::start_connect(options_.address);
    if (!fd) return sink_.on_failure(fd.error().message);
    stream_ = std::make_shared<net::SocketStream>(loop_, *fd, options_.address, limits_, *this);
    stream_->set_receiver(self_.lock());
    stream_->start_client(nullptr, "localhost");
  }

  void open_writer() override { sink_.on_ready(options_.index); }

  // on_ready comes with the answer to the request.
  void open_reader() override {
    const std::string request = fmt::format(
        R"({{"stream_name":"{}","config":{{"deliver_subject":"{}.d","ack_policy":"none",)"
        R"("deliver_policy":"{}","flow_control":true,"idle_heartbeat":{}}}}})",
        options_.read_from, inbox_, options_.is_from_start ? "all" : "new", kHeartbeat_ns);
    write(fmt::format("SUB {0}.d 2\r\nPUB $JS.API.CONSUMER.CREATE.{1} {0}.c {2}\r\n{3}\r\n", inbox_,
                      options_.read_from, request.size(), request));
  }

  bool send() override {
    if (!stream_) return false;
    if (stream_->backlog() > net::kBacklogPauseBytes) {
      wants_to_send_ = true;
      return false;
    }
    write(publish_);
    return true;
  }

  void close() override {
    is_closing_ = true;
    if (stream_) stream_->close("done");
  }

  std::size_t on_data(std::span<char> bytes) override {
    const std::string_view all(bytes.data(), bytes.size());
    std::size_t taken = 0;
    while (const auto size = take_one(all.substr(taken))) taken += size;
    return taken;
  }
  void on_drained() override {
    if (std::exchange(wants_to_send_, false)) sink_.on_can_send(options_.index);
  }
  void on_end() override { stream_->close("the server ended the connection"); }
  void on_quiet() override {}
  void on_stop() override {}
  void on_closed(std::string_view reason) override {
    stream_.reset();
    if (!is_closing_) sink_.on_failure(reason);
  }
  void on_gone(net::SocketStream&) override { stream_.reset(); }

 private:
  void write(std::string_view text) {
    stream_->out().append(text);
    stream_->send();
  }

  // One message of the protocol from the front: its bytes, or 0 when it is not whole.
  std::size_t take_one(std::string_view bytes) {
    const auto end = bytes.find(kLineEnd);
    if (end == bytes.npos) return 0;
    const auto line = bytes.substr(0, end);
    const std::size_t head = end + kLineEnd.size();
    if (line.starts_with("MSG ") || line.starts_with("HMSG ")) return take_message(line, bytes);
    if (line.starts_with("INFO ")) {
      write(
          fmt::format("CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,"
                      "\"no_responders\":true}}\r\nSUB {0}.a 1\r\nSUB {0}.c 3\r\nPING\r\n",
                      inbox_));
    } else if (line == "PING") {
      write("PONG\r\n");
    } else if (line == "PONG") {
      sink_.on_ready(options_.index);
    } else if (line.starts_with("-ERR")) {
      sink_.on_failure(line);
    }
    return head;
  }

  // MSG subject sid [reply] bytes; HMSG subject sid [reply] header-bytes bytes
  std::size_t take_message(std::string_view line, std::string_view bytes) {
    const bool has_header = line.front() == 'H';
    const auto words = split_words(line);
    std::size_t size = 0;
    std::from_chars(words.back().data(), words.back().data() + words.back().size(), size);
    const std::size_t head = line.size() + kLineEnd.size();
    if (bytes.size() < head + size + kLineEnd.size()) return 0;
    const auto body = bytes.substr(head, size);
    const bool has_reply = words.size() == (has_header ? 6U : 5U);
    on_message(words[2].front(), has_reply ? words[3] : std::string_view(), has_header, body);
    return head + size + kLineEnd.size();
  }

  void on_message(char subscription, std::string_view reply, bool has_header,
                  std::string_view body) {
    if (subscription == '2') {
      if (has_header && body.starts_with("NATS/1.0 100")) {  // heartbeat or flow control
        if (!reply.empty()) write(fmt::format("PUB {} 0\r\n\r\n", reply));
        return;
      }
      return sink_.on_event(options_.index);
    }
    if (has_header || body.find("\"error\"") != body.npos) return sink_.on_failure(body);
    if (subscription == '1') return sink_.on_ack(options_.index);
    sink_.on_ready(options_.index);
  }

  net::Loop& loop_;
  EventSink& sink_;
  EventClientOptions options_;
  std::string inbox_;
  std::string publish_;
  net::StreamLimits limits_{};
  std::weak_ptr<NatsClient> self_;
  std::shared_ptr<net::SocketStream> stream_;
  bool wants_to_send_ = false;
  bool is_closing_ = false;
};

}  // namespace

std::shared_ptr<EventClient> make_nats_client(net::Loop& loop, EventSink& sink,
                                              EventClientOptions options) {
  auto client = std::make_shared<NatsClient>(loop, sink, std::move(options));
  client->bind(client);
  return client;
}

}  // namespace doppel::bench

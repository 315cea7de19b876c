#include "cli/http_transport.h"

#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "net/http_client.h"
#include "net/loop.h"

namespace doppel::cli {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(5);
constexpr std::size_t kResponseBytesMax = 256 * 1024 * 1024;  // a whole list of models

struct Wire {
  net::Loops loops{1};
  net::HttpClient client{loops};
  net::HttpCallOptions options;

  Result<http::Response> send(HttpRequest request) {
    std::promise<Result<http::Response>> promise;
    auto future = promise.get_future();
    loops.at(0).post([&] {
      spawn(client.send(std::move(request.method), std::move(request.url),
                        std::move(request.headers), std::move(request.body), options),
            [&](Result<http::Response> response) { promise.set_value(std::move(response)); });
    });
    return future.get();
  }
};

Result<std::string> read_ca(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return fail(Code::not_found,
                fmt::format("cannot read the CA file {} that the CLI profile names", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

Result<Session> connect(Profile profile) {
  auto wire = std::make_shared<Wire>();
  auto ca = read_ca(profile.ca_file);
  if (!ca) return fail(std::move(ca.error()));
  wire->options.connect_timeout = kConnectTimeout;
  wire->options.response_bytes_max = kResponseBytesMax;
  wire->options.tls.ca_pem = std::move(*ca);
  return Session(std::move(profile),
                 [wire](HttpRequest request) { return wire->send(std::move(request)); });
}

Result<Session> connect(const std::string& data_dir) {
  auto profile = read_profile(profile_path(data_dir));
  if (!profile) return fail(std::move(profile.error()));
  return connect(std::move(*profile));
}

}  // namespace doppel::cli

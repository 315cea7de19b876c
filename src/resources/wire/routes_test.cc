// Runs the transcripts of tests/cases/arm: requests as clients send them, and what must come back.
//
//   # a comment
//   > METHOD /path?query          a request as the administrator; "reader", "nobody" or "twins"
//   before the method
//                                 ask with another token or none
//   > Name: value                 a header
//   > {...}                       the body, on any number of lines that begin with ">"
//   < 201                         the status
//   < has TEXT                    the body (or a header line) holds TEXT
//   < lacks TEXT
//   < save NAME /json/pointer     later lines may use ${NAME}
//
// ${S} is the subscription, ${T} the tenant.
#include "resources/wire/routes.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/testing.h"
#include "json/value.h"
#include "protocol/http/router.h"
#include "store/memory/memory_store.h"

namespace doppel::resources {
namespace {

using doppel::testing::ManualClock;
using doppel::testing::ManualExecutor;
using doppel::testing::run;

class Server {
 public:
  Server() {
    auto opened = run(
        executor,
        Resources::open(*store, executor, clock, random,
                        security::SecretBox(security::MasterKey::generate(random), random), {}));
    check(opened.has_value(), "resources open");
    resources = std::move(*opened);
    check(run(executor, resources->create_admin_credential("app", "secret")).has_value(),
          "a credential");
    std::vector<RoleAssignment> reader = {{.role = "Reader", .scope = "/"}};
    check(run(executor, resources->create_principal("reader", reader, "reader", "secret"))
              .has_value(),
          "a reader");
    WireHooks hooks;
    hooks.hub_stats = [](HubName) -> Task<Result<WireHooks::HubStats>> {
      co_return WireHooks::HubStats{.total = 3, .enabled = 2, .disabled = 1};
    };
    std::vector<RoleAssignment> guest = {
        {.role = "Reader",
         .scope = "/subscriptions/" + std::string(kDefaultSubscription) + "/resourceGroups/open"}};
    check(run(executor, resources->create_principal("guest", guest, "guest", "secret")).has_value(),
          "a guest");
    register_routes(router, *resources, std::move(hooks));
  }

  // Kept, because checking a client's secret is slow on purpose.
  std::string bearer(std::string_view client, std::string_view scope) {
    std::string& token = tokens[std::string(client) + " " + std::string(scope)];
    if (token.empty()) token = resources->issue_token(client, "secret", scope)->token;
    return "Bearer " + token;
  }

  http::Response send(http::Request request) {
    auto task = router.handle(std::move(request));
    return run(executor, std::move(task));
  }

  ManualClock clock;
  ManualExecutor executor{clock};
  SystemRandom random;
  std::unique_ptr<store::Store> store = store::open_memory(clock);
  std::unique_ptr<Resources> resources;
  http::Router router;
  std::map<std::string, std::string> tokens;
};

http::Request make_request(std::string_view method, std::string_view target) {
  http::Request request;
  request.method = method;
  request.target = target;
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  auto query = question == target.npos ? std::string_view{} : target.substr(question + 1);
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size());
    if (query.starts_with('&')) query.remove_prefix(1);
    const auto equals = pair.find('=');
    request.query.emplace_back(
        percent_decode(pair.substr(0, equals)).value_or(""),
        equals == pair.npos ? "" : percent_decode(pair.substr(equals + 1)).value_or(""));
  }
  request.headers.set("Host", "localhost:8443");
  request.tracking_id = "00000000-0000-4000-8000-000000000001";
  return request;
}

std::string at_pointer(const std::string& body, std::string_view pointer) {
  auto document = json::parse(body);
  const json::Value* value = document ? &*document : nullptr;
  while (value != nullptr && !pointer.empty()) {
    pointer.remove_prefix(1);
    const auto name = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(name.size());
    if (value->is_array()) {
      const auto index = std::stoul(std::string(name));
      value = index < value->get_array().size() ? &value->get_array()[index] : nullptr;
    } else {
      value = json::find(*value, name);
    }
  }
  if (value == nullptr) return "";
  return json::is_string(*value) ? std::string(json::view(value->get_string()))
                                 : json::write(*value);
}

class Transcript {
 public:
  explicit Transcript(const std::filesystem::path& path)
      : file_(path), name_(path.filename().string()) {
    saved_["S"] = std::string(kDefaultSubscription);
    saved_["T"] = std::string(kDefaultTenant);
  }

  void play() {
    std::string line;
    while (std::getline(file_, line)) {
      ++number_;
      line = with_values(line);
      if (line.starts_with("> ")) read_request(line.substr(2));
      if (line.starts_with("< ")) expect(line.substr(2));
    }
    ASSERT_GT(checks_, 0) << name_ << " checks nothing";
  }

 private:
  std::string where() const { return name_ + ":" + std::to_string(number_); }

  std::string with_values(std::string line) const {
    for (const auto& [name, value] : saved_) {
      const std::string mark = "${" + name + "}";
      for (auto at = line.find(mark); at != line.npos; at = line.find(mark, at + value.size()))
        line.replace(at, mark.size(), value);
    }
    return line;
  }

  // The first line of a request names it; the next are headers while they look like one, then the
  // body.
  void read_request(std::string line) {
    static const std::string methods[] = {"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"};
    const auto begins_request = [&](std::string_view text) {
      return std::ranges::any_of(
          methods, [&](const std::string& method) { return text.starts_with(method + " /"); });
    };
    std::string who = "admin";
    for (const char* other : {"reader ", "guest ", "nobody ", "twins "}) {
      if (line.starts_with(other)) {
        who = line.substr(0, line.find(' '));
        line = line.substr(line.find(' ') + 1);
      }
    }
    if (begins_request(line)) {
      const auto space = line.find(' ');
      request_ = make_request(line.substr(0, space), line.substr(space + 1));
      is_sent_ = false;
      if (who == "admin")
        request_.headers.set("Authorization", server_.bearer("app", "https://localhost/.default"));
      if (who == "reader" || who == "guest")
        request_.headers.set("Authorization", server_.bearer(who, "https://localhost/.default"));
      if (who == "twins")
        request_.headers.set("Authorization",
                             server_.bearer("app", "https://digitaltwins.azure.net/.default"));
      return;
    }
    const auto colon = line.find(": ");
    const bool is_header =
        request_.body.empty() && colon != line.npos &&
        line.substr(0, colon).find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == std::string::npos;
    if (is_header) {
      request_.headers.set(line.substr(0, colon), line.substr(colon + 2));
    } else {
      request_.body += line;
    }
  }

  void expect(const std::string& line) {
    ++checks_;
    if (!is_sent_) {
      const std::string shown = request_.method + " " + request_.target;
      response_ = server_.send(std::move(request_));
      is_sent_ = true;
      text_ = response_.body;
      for (const auto& [name, value] : response_.headers) text_ += "\n" + name + ": " + value;
      EXPECT_EQ(std::to_string(response_.status), line) << where() << " " << shown << "\n" << text_;
      return;
    }
    const auto rest = line.substr(line.find(' ') + 1);
    if (line.starts_with("has ")) {
      EXPECT_NE(text_.find(rest), std::string::npos) << where() << " wants " << rest << "\n"
                                                     << text_;
    } else if (line.starts_with("lacks ")) {
      EXPECT_EQ(text_.find(rest), std::string::npos) << where() << " must not have " << rest << "\n"
                                                     << text_;
    } else if (line.starts_with("save ")) {
      const auto space = rest.find(' ');
      saved_[rest.substr(0, space)] = at_pointer(response_.body, rest.substr(space + 1));
      EXPECT_NE(saved_[rest.substr(0, space)], "") << where() << "\n" << text_;
    } else {
      ADD_FAILURE() << where() << " is not understood: " << line;
    }
  }

  std::ifstream file_;
  std::string name_;
  int number_ = 0;
  int checks_ = 0;
  Server server_;
  std::map<std::string, std::string> saved_;
  http::Request request_;
  http::Response response_;
  std::string text_;
  bool is_sent_ = true;
};

TEST(ArmTranscripts, AllPlay) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator("tests/cases/arm"))
    files.push_back(entry.path());
  std::ranges::sort(files);
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) Transcript(file).play();
}

}  // namespace
}  // namespace doppel::resources

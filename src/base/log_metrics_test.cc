#include <array>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"

namespace doppel {
namespace {

TEST(LogTest, WritesOneJsonObjectALineAndEscapesWhatPeersSend) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  log::set_output(pipe[1]);
  log::warn("test.event", {{"text", "a\"b\n\x01"}, {"n", 7}, {"yes", true}});
  log::flush();
  log::set_output(STDERR_FILENO);
  std::string line(4096, '\0');
  line.resize(static_cast<std::size_t>(::read(pipe[0], line.data(), line.size())));
  EXPECT_NE(
      line.find(R"("level":"warn","event":"test.event","text":"a\"b\n\u0001","n":7,"yes":true})"
                "\n"),
      std::string::npos)
      << line;
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(MetricsTest, RendersCountersAndHistograms) {
  metrics::counter("doppel_test_total", "Test", {{"kind", "a"}}).add(3);
  metrics::histogram("doppel_test_seconds", "Test").observe_seconds(0.002);
  const auto text = metrics::render_prometheus();
  EXPECT_NE(text.find("# TYPE doppel_test_total counter\ndoppel_test_total{kind=\"a\"} 3\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("doppel_test_seconds_bucket{le=\"0.0025\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("doppel_test_seconds_bucket{le=\"0.001\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("doppel_test_seconds_count 1\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace doppel

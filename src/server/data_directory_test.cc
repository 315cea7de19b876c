#include "server/data_directory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace doppel::server {
namespace {

namespace fs = std::filesystem;

constexpr fs::perms kShared = fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all;

class DataDirectoryTest : public testing::Test {
 protected:
  DataDirectoryTest() {
    std::string name = (fs::temp_directory_path() / "doppel-data-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~DataDirectoryTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  fs::path root_;
};

TEST_F(DataDirectoryTest, ANewOneIsPrivate) {
  const auto path = root_ / "a" / "b";
  ASSERT_TRUE(ensure_directory(path.string()));
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
}

TEST_F(DataDirectoryTest, AnEmptyOneBecomesPrivate) {
  fs::permissions(root_, kShared);
  ASSERT_TRUE(ensure_directory(root_.string()));
  EXPECT_EQ(fs::status(root_).permissions(), fs::perms::owner_all);
}

// `--data-dir /tmp` must not take /tmp from everybody else.
TEST_F(DataDirectoryTest, TheModeOfOneInUseIsLeftAlone) {
  fs::permissions(root_, kShared);
  std::ofstream(root_ / "somebody's") << "x";
  ASSERT_TRUE(ensure_directory(root_.string()));
  EXPECT_EQ(fs::status(root_).permissions(), kShared);
}

TEST_F(DataDirectoryTest, AFileInItsPlaceIsRefused) {
  std::ofstream(root_ / "file") << "x";
  EXPECT_FALSE(ensure_directory((root_ / "file").string()));
}

}  // namespace
}  // namespace doppel::server

#include "server/data_directory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>

namespace doppel::server {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr fs::perms kShared = fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all;

class DataDirectoryTest : public testing::Test {
 protected:
  DataDirectoryTest() {
    std::string name = (fs::temp_directory_path() / "doppel-data-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    options_.data_dir = root_.string();
  }
  ~DataDirectoryTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  fs::path root_;
  ServeOptions options_;
  SystemClock clock_;
  SystemRandom random_;
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

TEST_F(DataDirectoryTest, AFirstStartMakesAKeyAndLaterOnesFindIt) {
  const auto made = read_master_key(options_, random_);
  ASSERT_TRUE(made) << made.error().message;
  const auto found = read_master_key(options_, random_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->id(), made->id());
}

// A new key would open nothing, and would look like the right one to whoever comes to help.
TEST_F(DataDirectoryTest, AMissingKeyBesideAStoreIsRefusedAndNothingIsWritten) {
  fs::create_directory(root_ / "store");
  std::ofstream(root_ / "store" / "CURRENT") << "x";
  const auto refused = read_master_key(options_, random_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("--key-file"));
  EXPECT_THAT(refused.error().message, HasSubstr("master.key"));
  EXPECT_FALSE(fs::exists(root_ / "master.key"));
}

TEST_F(DataDirectoryTest, AnEmptyStoreDirectoryIsNoStore) {
  fs::create_directory(root_ / "store");
  EXPECT_TRUE(read_master_key(options_, random_));
}

TEST_F(DataDirectoryTest, CertificatesThatCannotBeUsedAreNamed) {
  const auto own = read_identity(options_, clock_, random_);
  ASSERT_TRUE(own) << own.error().message;
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(root_ / name) << text;
    return (root_ / name).string();
  };
  const auto chain = write("chain.pem", own->identities[0].chain_pem);
  const auto key = write("key.pem", own->identities[0].key_pem);
  const auto other_key = write("other.pem", own->identities[1].key_pem);
  const auto garbage = write("garbage.pem", "no PEM");
  const auto read = [&](const std::string& cert_file, const std::string& key_file) {
    ServeOptions options = options_;
    options.tls_cert = cert_file;
    options.tls_key = key_file;
    return read_identity(options, clock_, random_);
  };
  EXPECT_TRUE(read(chain, key));
  for (const auto& [cert_file, key_file] :
       {std::pair(garbage, key), std::pair(chain, garbage), std::pair(chain, other_key)}) {
    const auto refused = read(cert_file, key_file);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
    EXPECT_THAT(refused.error().message, HasSubstr("--tls-cert " + cert_file));
    EXPECT_THAT(refused.error().message, HasSubstr("--tls-key " + key_file));
  }
}

}  // namespace
}  // namespace doppel::server

#include "security/secrets.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "security/keys.h"

namespace doppel::security {
namespace {

class SecretsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder =
        std::filesystem::temp_directory_path() / ("doppel-secrets-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path() const { return (folder / "master.key").string(); }

  std::filesystem::path folder;
  SeededRandom random{7};
  SystemRandom system_random;
};

TEST_F(SecretsTest, OpensWhatItSealedAndOnlyInItsPlace) {
  const SecretBox box(MasterKey::generate(random), system_random);
  for (const std::string& plain : {std::string(), std::string("a"), std::string(100'000, 'x')}) {
    const auto sealed = box.seal(plain, "key-1");
    EXPECT_EQ(sealed.find("xxxx"), std::string::npos);
    const auto opened = box.open(sealed, "key-1");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, plain);
    EXPECT_FALSE(box.open(sealed, "key-2"));
  }
  EXPECT_NE(box.seal("same", "c"), box.seal("same", "c")) << "equal secrets must not look equal";
}

TEST_F(SecretsTest, TellsAWrongKeyFromADamagedRecord) {
  const SecretBox box(MasterKey::generate(random), system_random);
  const SecretBox other(MasterKey::generate(random), system_random);
  const auto sealed = box.seal("secret", "c");
  const auto wrong_key = other.open(sealed, "c");
  ASSERT_FALSE(wrong_key);
  EXPECT_NE(wrong_key.error().message.find("another master key"), std::string::npos);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto damaged = sealed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(box.open(damaged, "c")) << i;
    EXPECT_FALSE(box.open(sealed.substr(0, i), "c")) << i;
  }
}

TEST_F(SecretsTest, MakesTheKeyFileOnceAndPrivate) {
  const auto made = MasterKey::ensure_file(path(), random);
  ASSERT_TRUE(made) << made.error().message;
  struct stat about{};
  ASSERT_EQ(::stat(path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  const auto read = MasterKey::ensure_file(path(), random);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes(), made->bytes());
  EXPECT_EQ(read->id(), made->id());
  const auto again = MasterKey::generate(random).create_file(path());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::already_exists);
}

TEST_F(SecretsTest, RefusesAKeyFileThatIsOpenToOthersOrHoldsNonsense) {
  EXPECT_EQ(MasterKey::read_file(path()).error().code, Code::not_found);
  ASSERT_TRUE(MasterKey::ensure_file(path(), random));
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  const auto open_to_group = MasterKey::read_file(path());
  ASSERT_FALSE(open_to_group);
  EXPECT_NE(open_to_group.error().message.find("chmod 600"), std::string::npos);

  ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
  for (const char* text : {"", "short", "bm90IDMyIGJ5dGVz\n"}) {
    std::ofstream(path()) << text;
    EXPECT_EQ(MasterKey::read_file(path()).error().code, Code::invalid_argument) << text;
  }
}

TEST_F(SecretsTest, HashesClientSecrets) {
  const auto hashed = hash_secret(random, "doppel");
  EXPECT_EQ(hashed.find("doppel$"), std::string::npos);
  EXPECT_TRUE(verify_secret(hashed, "doppel"));
  EXPECT_FALSE(verify_secret(hashed, "Doppel"));
  EXPECT_FALSE(verify_secret(hashed, ""));
  EXPECT_NE(hashed, hash_secret(random, "doppel"));
  for (const char* text :
       {"", "pbkdf2-sha256", "pbkdf2-sha256$0$YQ==$YQ==", "pbkdf2-sha256$x$YQ==$YQ==",
        "pbkdf2-sha256$99999999999$YQ==$YQ==", "pbkdf2-sha256$1$*$*"}) {
    EXPECT_FALSE(verify_secret(text, "doppel")) << text;
  }
}

TEST(Keys, AreRandomBase64) {
  SeededRandom random(1);
  const auto key = random_key(random);
  EXPECT_EQ(key.size(), 44u);
  EXPECT_NE(key, random_key(random));
  EXPECT_EQ(random_key(random, 64).size(), 88u);
}

TEST(ConstantTimeEqual, ComparesLikeEqual) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
  EXPECT_FALSE(constant_time_equal("abc", "ab"));
}

}  // namespace
}  // namespace doppel::security

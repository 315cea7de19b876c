// Blobs are opened as a TPM opens them (testing.h), and that side is held against blobs made by a
// TPM and by tpm2-tools (tests/vectors/tpm/make). tests/clients/tpm has a TPM open ours.
#include "security/tpm/activation.h"

#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include "base/encoding.h"
#include "security/tpm/testing.h"

namespace doppel::security::tpm {
namespace {

using testing::SoftTpm;

constexpr std::string_view kKinds[] = {"rsa", "ecc"};

// Lines "name hex" of tests/vectors/tpm/vectors.txt.
const std::string& vector_of(std::string_view kind_of, std::string_view kind,
                             std::string_view part) {
  static const auto vectors = [] {
    std::map<std::string, std::string> all;
    std::ifstream file("tests/vectors/tpm/vectors.txt");
    std::string name, hex, rest;
    while (file >> name) {
      if (name.starts_with('#')) {
        std::getline(file, rest);
        continue;
      }
      file >> hex;
      all[name] = hex_decode(hex).value_or("");
    }
    return all;
  }();
  static const std::string missing;
  std::string name(kind_of);
  if (!kind.empty()) name.append("_").append(kind);
  if (!part.empty()) name.append(".").append(part);
  const auto at = vectors.find(name);
  EXPECT_NE(at, vectors.end()) << name;
  return at == vectors.end() ? missing : at->second;
}

KeyPointer private_key(std::string_view kind) {
  const std::string& der = vector_of("private", kind, "pkcs8");
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  return KeyPointer(d2i_AutoPrivateKey(nullptr, &bytes, static_cast<long>(der.size())));
}

StorageKey parent_key(std::string_view kind) {
  return parse_storage_key(vector_of("parent", kind, "public")).value();
}

TEST(TpmVectorTest, ComputesTheNamesThatTheTpmComputes) {
  for (const auto kind : kKinds) {
    for (const auto key : {"ek", "srk", "parent"}) {
      const auto parsed = parse_storage_key(vector_of(key, kind, "public"));
      ASSERT_TRUE(parsed) << key << kind << parsed.error().message;
      EXPECT_EQ(hex_encode(parsed->name), hex_encode(vector_of(key, kind, "name"))) << key << kind;
    }
  }
}

TEST(TpmVectorTest, OpensACredentialThatTpm2ToolsMade) {
  for (const auto kind : kKinds) {
    const KeyPointer own = private_key(kind);
    Reader in(vector_of("credential", kind, ""));
    in.bytes(8);  // magic number and version of the file
    const auto id_object = in.sized();
    const auto secret = in.sized();
    ASSERT_TRUE(!in.has_failed() && in.is_at_end()) << kind;
    const auto opened = testing::open_credential(
        own.get(), parent_key(kind), vector_of("srk", "rsa", "name"), id_object, secret);
    ASSERT_TRUE(opened) << kind;
    EXPECT_EQ(*opened, vector_of("credential", "", "secret")) << kind;
  }
}

TEST(TpmVectorTest, OpensAKeyThatTheTpmDuplicated) {
  for (const auto kind : kKinds) {
    const KeyPointer own = private_key(kind);
    const auto content = [](const std::string& tpm2b) { return std::string_view(tpm2b).substr(2); };
    const auto key = testing::open_importable(own.get(), parent_key(kind),
                                              vector_of("duplicate", "", "wrap_key"),
                                              content(vector_of("duplicate", "", "public")),
                                              content(vector_of("duplicate", kind, "private")),
                                              content(vector_of("duplicate", kind, "seed")));
    ASSERT_TRUE(key) << kind;
    EXPECT_EQ(hex_encode(hmac(Hash::sha256, *key, "what is signed")),
              hex_encode(vector_of("duplicate", "", "mac")));
  }
}

const std::string kKey = "the key of a hub, of 32 bytes...";

TEST(ActivationTest, HandsTheKeyToTheTpmItIsMadeFor) {
  SeededRandom random(1);
  for (const bool is_rsa : {false, true}) {
    const SoftTpm tpm = is_rsa ? SoftTpm::make_rsa() : SoftTpm::make_ec();
    const auto ek = parse_storage_key(tpm.endorsement_key).value();
    const auto srk = parse_storage_key(tpm.storage_root_key).value();
    for (const std::string& key : {kKey, std::string("k"), std::string(kHmacKeySizeMax, '\xff')}) {
      const auto blob = activation_blob(ek, srk, key, random);
      ASSERT_TRUE(blob);
      EXPECT_EQ(tpm.activate(*blob), key);
    }
  }
}

// SASL frames leave room for four segments of 470 bytes, and TPM2_Import for 1 KiB.
TEST(ActivationTest, KeepsTheBlobSmall) {
  SeededRandom random(1);
  const SoftTpm tpm = SoftTpm::make_rsa();
  const auto ek = parse_storage_key(tpm.endorsement_key).value();
  const auto srk = parse_storage_key(tpm.storage_root_key).value();
  EXPECT_LT(activation_blob(ek, srk, kKey, random)->size(), 2 * 470u);
}

TEST(ActivationTest, OpensForNoOtherTpmAndNotWhenChanged) {
  SeededRandom random(1);
  const SoftTpm tpm = SoftTpm::make_ec();
  const SoftTpm other = SoftTpm::make_ec();
  const auto key_of = [](const std::string& bytes) { return parse_storage_key(bytes).value(); };
  const auto blob =
      activation_blob(key_of(tpm.endorsement_key), key_of(tpm.storage_root_key), kKey, random)
          .value();
  EXPECT_FALSE(other.activate(blob));
  const auto foreign_root =
      activation_blob(key_of(tpm.endorsement_key), key_of(other.storage_root_key), kKey, random);
  EXPECT_FALSE(tpm.activate(*foreign_root));
  EXPECT_FALSE(other.activate(*foreign_root));
  for (std::size_t at = 0; at < blob.size(); at += 7) {
    std::string changed = blob;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const auto opened = tpm.activate(changed);
    EXPECT_FALSE(opened.has_value()) << at;
  }
}

TEST(ActivationTest, MakesEveryBlobAnew) {
  SeededRandom random(1);
  const SoftTpm tpm = SoftTpm::make_ec();
  const auto ek = parse_storage_key(tpm.endorsement_key).value();
  EXPECT_NE(activation_blob(ek, ek, kKey, random).value(),
            activation_blob(ek, ek, kKey, random).value());
}

TEST(ActivationTest, RefusesKeysThatATpmDoesNotTake) {
  SeededRandom random(1);
  const SoftTpm tpm = SoftTpm::make_ec();
  const auto ek = parse_storage_key(tpm.endorsement_key).value();
  for (const std::size_t size : {std::size_t{0}, kHmacKeySizeMax + 1}) {
    const auto blob = activation_blob(ek, ek, std::string(size, 'k'), random);
    ASSERT_FALSE(blob);
    EXPECT_EQ(blob.error().code, Code::invalid_argument);
  }
}

}  // namespace
}  // namespace doppel::security::tpm

#include "net/certificates.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace doppel::net {
namespace {

namespace fs = std::filesystem;

class CertificatesTest : public ::testing::Test {
 protected:
  CertificatesTest() {
    static int count = 0;
    directory = fs::temp_directory_path() / ("doppel-certificates-" + std::to_string(::getpid()) +
                                             '-' + std::to_string(++count));
    fs::create_directories(directory);
    std::ofstream(directory / "server-rsa.key.pem") << rsa_key();
  }
  // Tests begin with this RSA key, because making one takes long; all else is fresh.
  static const std::string& rsa_key() {
    static const std::string pem = [] {
      EVP_PKEY* const key = EVP_RSA_gen(2048);
      BIO* const bio = BIO_new(BIO_s_mem());
      PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
      char* data = nullptr;
      const long size = BIO_get_mem_data(bio, &data);
      std::string text(data, static_cast<std::size_t>(size));
      BIO_free(bio);
      EVP_PKEY_free(key);
      return text;
    }();
    return pem;
  }
  ~CertificatesTest() override { fs::remove_all(directory); }

  Certificates make(const std::vector<std::string>& names = {}) {
    auto made = ensure_certificates(directory, names, now, random);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? std::move(*made) : Certificates{};
  }

  static X509* read(const std::string& pem) {
    BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return certificate;
  }

  // What a client's OpenSSL decides, with the strict checks of RFC 5280 on.
  int verdict(const std::string& ca_pem, const std::string& server_pem, const std::string& host,
              bool is_ip = false) const {
    X509* const ca = read(ca_pem);
    X509* const server = read(server_pem);
    X509_STORE* const store = X509_STORE_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX* const context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, server, nullptr);
    X509_VERIFY_PARAM* const wanted = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_time(wanted, now.time_since_epoch() / std::chrono::seconds(1));
    if (is_ip)
      X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
    else
      X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
    X509_verify_cert(context);
    const int result = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(server);
    X509_free(ca);
    return result;
  }

  fs::path directory;
  TimePoint now = TimePoint(std::chrono::seconds(1'800'000'000));
  SystemRandom random;
};

TEST_F(CertificatesTest, AreAcceptedForEveryNameTheyWereMadeFor) {
  const auto made =
      make({"hub1.localhost", "iot.example.com", "*.hubs.example.com", "192.168.1.7"});
  ASSERT_EQ(made.identities.size(), 2u);
  for (const auto& identity : made.identities) {
    for (const auto* host :
         {"localhost", "hub1.localhost", "iot.example.com", "a.hubs.example.com"})
      EXPECT_EQ(verdict(made.ca_pem, identity.chain_pem, host), X509_V_OK) << host;
    for (const auto* ip : {"127.0.0.1", "::1", "192.168.1.7"})
      EXPECT_EQ(verdict(made.ca_pem, identity.chain_pem, ip, true), X509_V_OK) << ip;
    EXPECT_EQ(verdict(made.ca_pem, identity.chain_pem, "example.com"),
              X509_V_ERR_HOSTNAME_MISMATCH);
  }
}

// A certificate for another name, signed with the same CA key, must not be believed.
TEST_F(CertificatesTest, AreBelowACaThatCannotVouchForOtherNames) {
  const auto made = make();
  const auto read_text = [&](const char* name) {
    std::ifstream file(directory / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string key_pem = read_text("ca.key.pem");
  BIO* const bio = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  X509* const forged = read(made.identities.front().chain_pem);
  X509_EXTENSION_free(
      X509_delete_ext(forged, X509_get_ext_by_NID(forged, NID_subject_alt_name, -1)));
  X509_EXTENSION* const names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:portal.azure.com");
  X509_add_ext(forged, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(forged, key, EVP_sha256());
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, forged);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  const std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(out);
  X509_free(forged);
  EVP_PKEY_free(key);
  EXPECT_EQ(verdict(made.ca_pem, pem, "portal.azure.com"), X509_V_ERR_PERMITTED_VIOLATION);
}

TEST_F(CertificatesTest, AreReusedAtTheNextStart) {
  const auto first = make({"a.example"});
  EXPECT_EQ(first.new_ca, NewCa::there_was_none);
  EXPECT_TRUE(first.are_servers_new);
  const auto second = make({"A.example"});  // names compare without case
  EXPECT_EQ(second.new_ca, NewCa::no);
  EXPECT_FALSE(second.are_servers_new);
  EXPECT_EQ(second.ca_pem, first.ca_pem);
  EXPECT_EQ(second.identities[0].chain_pem, first.identities[0].chain_pem);
}

TEST_F(CertificatesTest, AreIssuedAgainWhenNamesChange) {
  const auto first = make({"a.example", "b.example"});
  // Fewer names: the CA still covers them, so clients need nothing new.
  const auto fewer = make({"a.example"});
  EXPECT_EQ(fewer.new_ca, NewCa::no);
  EXPECT_TRUE(fewer.are_servers_new);
  EXPECT_EQ(verdict(first.ca_pem, fewer.identities[1].chain_pem, "a.example"), X509_V_OK);
  const auto other = make({"c.example"});
  EXPECT_EQ(other.new_ca, NewCa::names_changed);
  EXPECT_TRUE(other.are_servers_new);
  EXPECT_EQ(verdict(other.ca_pem, other.identities[0].chain_pem, "c.example"), X509_V_OK);
}

TEST_F(CertificatesTest, AreRenewedBeforeTheyEnd) {
  const auto first = make();
  now += kServerLifetime - kRenewBefore + std::chrono::hours(1);
  const auto second = make();
  EXPECT_EQ(second.new_ca, NewCa::no);
  EXPECT_TRUE(second.are_servers_new);
  EXPECT_EQ(verdict(first.ca_pem, second.identities[0].chain_pem, "localhost"), X509_V_OK);
  now += kCaLifetime - kServerLifetime;
  EXPECT_EQ(make().new_ca, NewCa::near_its_end);
}

TEST_F(CertificatesTest, KeepTheirKeysPrivate) {
  make();
  for (const auto* name : {"ca.key.pem", "server-ec.key.pem", "server-rsa.key.pem"}) {
    struct stat status{};
    ASSERT_EQ(::stat((directory / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(CertificatesTest, RefuseBadNamesAndDamagedFiles) {
  for (const auto* name : {"", "a..b", "white space", "-.", "x/y", "*"}) {
    const auto made = ensure_certificates(directory, {name}, now, random);
    ASSERT_FALSE(made.has_value()) << name;
    EXPECT_EQ(made.error().code, Code::invalid_argument);
  }
  make();
  {
    std::ofstream(directory / "server-ec.pem") << "nonsense";
  }
  const auto made = ensure_certificates(directory, {}, now, random);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Code::invalid_argument);
  EXPECT_THAT(made.error().message, ::testing::HasSubstr("server-ec.pem"));
}

}  // namespace
}  // namespace doppel::net

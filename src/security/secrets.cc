#include "security/secrets.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/encoding.h"
#include "security/keys.h"

namespace doppel::security {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kKeyIdSize = 8;
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
constexpr std::size_t kHeaderSize = 1 + kKeyIdSize + kNonceSize;
constexpr std::size_t kKeyFileSizeMax = 256;  // bytes; base64 of 32 is 44

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> system_error(Code code, std::string_view what, const std::string& path) {
  return fail(code, std::string(what) + " " + path + ": " + std::strerror(errno));
}

Status sync_directory_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0)
    return system_error(Code::unavailable, "cannot sync the folder", folder.string());
  return {};
}

}  // namespace

MasterKey::MasterKey(const std::array<std::byte, kMasterKeySize>& key)
    : key_(reinterpret_cast<const char*>(key.data()), key.size()),
      id_(sha256("doppel master key id\n" + key_).substr(0, kKeyIdSize)) {}

MasterKey MasterKey::generate(Random& random) {
  std::array<std::byte, kMasterKeySize> key{};
  random.fill(key);
  return MasterKey(key);
}

Result<MasterKey> MasterKey::read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    return system_error(errno == ENOENT ? Code::not_found : Code::unavailable,
                        "cannot open the key file", path);
  }
  struct stat about{};
  if (::fstat(file.get(), &about) != 0)
    return system_error(Code::unavailable, "cannot look at the key file", path);
  if ((about.st_mode & 077) != 0) {
    return fail(Code::invalid_argument,
                "the key file " + path + " can be read by others; run: chmod 600 " + path);
  }
  std::string text(kKeyFileSizeMax, '\0');
  const auto count = ::read(file.get(), text.data(), text.size());
  if (count < 0) return system_error(Code::unavailable, "cannot read the key file", path);
  text.resize(static_cast<std::size_t>(count));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const auto decoded = base64_decode(text);
  if (!decoded || decoded->size() != kMasterKeySize) {
    return fail(Code::invalid_argument,
                "the key file " + path + " does not hold base64 of 32 bytes");
  }
  std::array<std::byte, kMasterKeySize> key{};
  std::memcpy(key.data(), decoded->data(), key.size());
  return MasterKey(key);
}

Status MasterKey::create_file(const std::string& path) const {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) {
    return system_error(errno == EEXIST ? Code::already_exists : Code::unavailable,
                        "cannot create the key file", path);
  }
  const std::string text = base64_encode(key_) + "\n";
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0) {
    const auto failed = system_error(Code::unavailable, "cannot write the key file", path);
    ::unlink(path.c_str());
    return failed;
  }
  return sync_directory_of(path);
}

Result<MasterKey> MasterKey::ensure_file(const std::string& path, Random& random) {
  auto there = read_file(path);
  if (there || there.error().code != Code::not_found) return there;
  MasterKey key = generate(random);
  auto created = key.create_file(path);
  if (!created) return fail(std::move(created.error()));
  return key;
}

std::string SecretBox::seal(std::string_view plain, std::string_view context) const {
  std::string sealed;
  sealed.reserve(kHeaderSize + plain.size() + kTagSize);
  sealed.push_back(kVersion);
  sealed.append(key_.id());
  // 96 random bits: a store would have to seal billions of records before two nonces met.
  sealed.append(random_->bytes(kNonceSize));
  sealed.resize(kHeaderSize + plain.size() + kTagSize);

  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  bool done = cipher != nullptr;
  done = done && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr,
                                    bytes_of(key_.bytes()), bytes_of(sealed) + 1 + kKeyIdSize) == 1;
  done = done && EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                                   static_cast<int>(context.size())) == 1;
  done = done && EVP_EncryptUpdate(cipher.get(), bytes_of(sealed) + kHeaderSize, &size,
                                   bytes_of(plain), static_cast<int>(plain.size())) == 1;
  done =
      done && EVP_EncryptFinal_ex(cipher.get(), bytes_of(sealed) + kHeaderSize + size, &size) == 1;
  done = done && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagSize,
                                     bytes_of(sealed) + kHeaderSize + plain.size()) == 1;
  check(done, "AES-256-GCM seals");
  return sealed;
}

Result<std::string> SecretBox::open(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < kHeaderSize + kTagSize || sealed.front() != kVersion)
    return fail(Code::invalid_argument, "not a sealed record of this version");
  if (sealed.substr(1, kKeyIdSize) != key_.id()) {
    return fail(Code::invalid_argument, "sealed under another master key (its id is " +
                                            hex_encode(sealed.substr(1, kKeyIdSize)) +
                                            ", ours is " + hex_encode(key_.id()) +
                                            "); give the key file this data was made with");
  }
  const auto nonce = sealed.substr(1 + kKeyIdSize, kNonceSize);
  const auto body = sealed.substr(kHeaderSize, sealed.size() - kHeaderSize - kTagSize);
  std::string tag(sealed.substr(sealed.size() - kTagSize));

  std::string plain(body.size(), '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  bool done = cipher != nullptr;
  done = done && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr,
                                    bytes_of(key_.bytes()), bytes_of(nonce)) == 1;
  done = done && EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                                   static_cast<int>(context.size())) == 1;
  done = done && EVP_DecryptUpdate(cipher.get(), bytes_of(plain), &size, bytes_of(body),
                                   static_cast<int>(body.size())) == 1;
  done = done && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, tag.data()) == 1;
  done = done && EVP_DecryptFinal_ex(cipher.get(), bytes_of(plain) + size, &size) == 1;
  if (!done) return fail(Code::invalid_argument, "the sealed record is damaged or was moved");
  return plain;
}

}  // namespace doppel::security

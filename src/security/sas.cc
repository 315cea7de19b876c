#include "security/sas.h"

#include <array>
#include <charconv>
#include <memory>
#include <optional>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "security/keys.h"

namespace doppel::security {
namespace {

constexpr std::size_t kHmacSize = 32;
// Enough for any year a client writes (9999 has 12 digits); longer numbers are nonsense.
constexpr std::size_t kExpiryDigitsMax = 18;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::unauthenticated, std::move(why));
}

// A MAC context costs 2 us to make and is not shared between threads, so each thread keeps one.
EVP_MAC_CTX* thread_mac() {
  struct Free {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  thread_local const std::unique_ptr<EVP_MAC_CTX, Free> context = [] {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    check(mac != nullptr, "OpenSSL has HMAC");
    std::unique_ptr<EVP_MAC_CTX, Free> made(EVP_MAC_CTX_new(mac));
    EVP_MAC_free(mac);
    check(made != nullptr, "OpenSSL makes a MAC context");
    char digest[] = "SHA256";
    const std::array<OSSL_PARAM, 2> params = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    check(EVP_MAC_CTX_set_params(made.get(), params.data()) == 1, "OpenSSL has HMAC-SHA256");
    return made;
  }();
  return context.get();
}

std::optional<std::string> hmac_key(std::string_view key, KeyForm form) {
  if (key.empty()) return std::nullopt;
  if (form == KeyForm::text) return std::string(key);
  auto decoded = base64_decode(key);
  if (decoded && decoded->empty()) return std::nullopt;
  return decoded;
}

struct Fields {
  std::optional<std::string_view> resource, signature, expiry, key_name;
};

Result<Fields> split_fields(std::string_view text) {
  Fields fields;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    const auto equals = pair.find('=');
    if (equals == pair.npos) return refuse("SAS token: a field has no '='");
    const auto name = pair.substr(0, equals);
    const auto value = pair.substr(equals + 1);
    auto* slot = name == "sr"    ? &fields.resource
                 : name == "sig" ? &fields.signature
                 : name == "se"  ? &fields.expiry
                 : name == "skn" ? &fields.key_name
                                 : nullptr;
    if (slot == nullptr) continue;  // later versions may add fields; they are not signed anyway
    // Two values of one field: which one was meant is the attacker's choice.
    if (slot->has_value()) return refuse("SAS token: a field stands twice");
    *slot = value;
  }
  return fields;
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  EVP_MAC_CTX* mac = thread_mac();
  std::string out(kHmacSize, '\0');
  std::size_t size = 0;
  // OpenSSL takes a null key as "keep the last one", so an empty view must still point somewhere.
  const char* const key_data = key.empty() ? "" : key.data();
  const bool done =
      EVP_MAC_init(mac, reinterpret_cast<const unsigned char*>(key_data), key.size(), nullptr) ==
          1 &&
      EVP_MAC_update(mac, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1 &&
      EVP_MAC_final(mac, reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) == 1;
  check(done && size == kHmacSize, "HMAC-SHA256 of a text succeeds");
  return out;
}

Result<SasToken> parse_sas(std::string_view text) {
  if (text.size() > kSasTokenSizeMax) return refuse("SAS token: too long");
  if (!starts_with_ignoring_case(text, kSasScheme))
    return refuse("SAS token: does not begin with SharedAccessSignature");
  text.remove_prefix(kSasScheme.size());
  auto fields = split_fields(text);
  if (!fields) return fail(std::move(fields.error()));
  if (!fields->resource || !fields->signature || !fields->expiry)
    return refuse("SAS token: sr, sig or se is missing");

  SasToken token;
  auto resource = percent_decode(*fields->resource);
  if (!resource) return refuse("SAS token: sr is not percent-encoded text");
  token.resource = std::move(*resource);

  const auto digits = *fields->expiry;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), token.expires_s);
  if (digits.empty() || digits.size() > kExpiryDigitsMax || error != std::errc{} ||
      end != digits.data() + digits.size() || token.expires_s < 0)
    return refuse("SAS token: se is not a number of seconds");

  const auto signature_text = percent_decode(*fields->signature);
  auto signature = signature_text ? base64_decode(*signature_text) : std::nullopt;
  if (!signature) return refuse("SAS token: sig is not base64");
  token.signature = std::move(*signature);

  if (fields->key_name) {
    auto key_name = percent_decode(*fields->key_name);
    if (!key_name) return refuse("SAS token: skn is not percent-encoded text");
    token.key_name = std::move(*key_name);
  }
  token.signed_text.reserve(fields->resource->size() + 1 + digits.size());
  token.signed_text.append(*fields->resource).append("\n").append(digits);
  return token;
}

namespace {

// In whole seconds: `se` may lie beyond what a nanosecond clock can say.
bool is_expired(const SasToken& token, TimePoint now, Duration skew) {
  return token.expires_s < to_unix_seconds(now - skew);
}

bool is_signed_with(const SasToken& token, std::string_view key, KeyForm form) {
  const auto decoded = hmac_key(key, form);
  if (!decoded) return false;
  return constant_time_equal(hmac_sha256(*decoded, token.signed_text), token.signature);
}

}  // namespace

Status verify_sas(const SasToken& token, std::string_view key, KeyForm form, TimePoint now,
                  Duration skew) {
  return verify_sas(token, key, {}, form, now, skew);
}

Status verify_sas(const SasToken& token, std::string_view primary, std::string_view secondary,
                  KeyForm form, TimePoint now, Duration skew) {
  // The signature first: only who holds the key learns that the token is expired.
  if (!is_signed_with(token, primary, form) && !is_signed_with(token, secondary, form))
    return refuse("SAS token: the signature does not match the key");
  if (is_expired(token, now, skew)) return refuse("SAS token: expired");
  return {};
}

SasResource sas_resource(std::string_view decoded) {
  SasResource resource;
  if (const auto scheme = decoded.find("://"); scheme != decoded.npos)
    decoded.remove_prefix(scheme + 3);
  const auto slash = decoded.find('/');
  auto host = decoded.substr(0, slash);
  // The port is the part after the last colon, unless that colon belongs to an IPv6 address.
  if (const auto colon = host.rfind(':'); colon != host.npos) {
    const bool is_bracketed = host.starts_with('[') && host.find(']') != host.npos;
    if (!is_bracketed ? host.find(':') == colon : colon > host.find(']'))
      host = host.substr(0, colon);
  }
  resource.host = to_lower(host);
  auto path = slash == decoded.npos ? std::string_view{} : decoded.substr(slash);
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto next = path.find('/');
    const auto segment = path.substr(0, next);
    if (!segment.empty()) resource.segments.emplace_back(segment);
    path = next == path.npos ? std::string_view{} : path.substr(next);
  }
  return resource;
}

bool covers(const SasResource& granted, const std::vector<std::string_view>& path) {
  std::size_t count = granted.segments.size();
  if (count > 0 && granted.segments.back().starts_with("api-version=")) --count;
  if (count > path.size()) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (granted.segments[i] != path[i]) return false;
  }
  return true;
}

Result<std::string> make_sas(std::string_view resource, std::string_view key, KeyForm form,
                             std::string_view key_name, TimePoint expires) {
  const auto decoded = hmac_key(key, form);
  if (!decoded) return fail(Code::invalid_argument, "the key is empty or not base64");
  const std::string encoded = percent_encode(resource);
  const std::string expiry = std::to_string(to_unix_seconds(expires));
  const std::string signature = base64_encode(hmac_sha256(*decoded, encoded + "\n" + expiry));
  std::string token(kSasScheme);
  token.append("sr=").append(encoded);
  token.append("&sig=").append(percent_encode(signature));
  token.append("&se=").append(expiry);
  if (!key_name.empty()) token.append("&skn=").append(percent_encode(key_name));
  return token;
}

Result<std::string> derive_device_key(std::string_view group_key,
                                      std::string_view registration_id) {
  const auto decoded = hmac_key(group_key, KeyForm::base64);
  if (!decoded) return fail(Code::invalid_argument, "the group key is empty or not base64");
  return base64_encode(hmac_sha256(*decoded, registration_id));
}

}  // namespace doppel::security

// What happens to a certificate document beside being put: it is shown, gets a verification code,
// and is verified by a certificate that its key has signed (dps.md section 7).
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "json/value.h"
#include "resources/catalog.h"

namespace doppel::resources {

// Fills in what clients see of stored properties, and leaves the verification code out.
void show_certificate(json::Object& properties);

// The bodies to PUT for generateVerificationCode and verify; conditional on the document's etag.
json::Object with_verification_code(const json::Value& document, Random& random);
// `proof`: the certificate whose common name is the code. Errors: BadRequest, InvalidParameter.
Result<json::Object> verified(const json::Value& document, std::string_view proof, TimePoint now);

// Nothing for a stored document that cannot be read.
std::optional<CaCertificate> certificate_of(const json::Value& document);

}  // namespace doppel::resources

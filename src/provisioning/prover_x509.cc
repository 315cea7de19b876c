// Proof by certificates (dps.md section 2.3). The handshake has shown that the device holds the key
// of the leaf; here is what the leaf is worth.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/certificate_index.h"
#include "provisioning/keys.h"
#include "provisioning/prover.h"
#include "security/certificate_path.h"

namespace doppel::provisioning {
namespace {

using security::Certificate;
using security::PathProblem;

// Certificates of one look-up; ours. Beyond it are names made alike on purpose.
constexpr std::size_t kCertificatesMax = 64;

std::unexpected<Error> refuse(const ServiceError& error, std::string reason) {
  return fail(error, std::move(reason));
}
std::unexpected<Error> distrust(std::string reason) {
  return fail(errors::dps::kCertificateNotTrusted, std::move(reason));
}
std::unexpected<Error> refuse(const PathProblem& problem, std::string_view where) {
  std::string reason = fmt::format("{}: {}", where, problem.text);
  switch (problem.kind) {
    case PathProblem::Kind::expired:
      return fail(errors::dps::kCertificateExpired, std::move(reason));
    case PathProblem::Kind::not_yet_valid:
      return fail(errors::dps::kCertificateNotYetValid, std::move(reason));
    case PathProblem::Kind::weak_key:
    case PathProblem::Kind::weak_signature:
      return fail(errors::dps::kCertificateWeak, std::move(reason));
    case PathProblem::Kind::no_path:
      return distrust(std::move(reason));
    case PathProblem::Kind::not_a_ca:
    case PathProblem::Kind::wrong_purpose:
    case PathProblem::Kind::name_constraint:
    case PathProblem::Kind::too_long:
    case PathProblem::Kind::other:
      return fail(errors::dps::kCertificatePath, std::move(reason));
  }
  return distrust(std::move(reason));
}

// What is wrong with the leaf by itself. Told to anybody: it says nothing about our enrollments.
Status check_leaf(const Certificate& leaf, std::string_view id, TimePoint now) {
  const auto name = leaf.common_name();
  if (!name) {
    return refuse(
        errors::dps::kCertificateName,
        fmt::format("the certificate '{}' does not have exactly one common name", leaf.subject()));
  }
  if (!equal_ignoring_case(*name, id)) {
    return refuse(
        errors::dps::kCertificateName,
        fmt::format("the certificate's common name is '{}', not the registration ID", *name));
  }
  if (auto problem = security::check_alone(leaf, now)) return refuse(*problem, "the leaf");
  return {};
}

Proven proven_by_leaf(FoundEnrollment found, const Certificate& leaf) {
  json::Object details = certificate_info(leaf);
  details["clientCertificate"] = leaf.pem();
  hub::Authentication known;
  if (found.enrollment->x509 && found.enrollment->x509->by_authority_in_hub) {
    known.type = hub::AuthenticationType::certificate_authority;
  } else {
    known.type = hub::AuthenticationType::self_signed;
    // The hub takes SHA-1 too, as Azure's DPS gives it, but two certificates can be made that share
    // a SHA-1.
    known.primary_thumbprint = leaf.sha256();
  }
  return {.enrollment = std::move(found.enrollment),
          .key = std::move(found.key),
          .stored = std::move(found.stored),
          .authentication = std::move(known),
          .runtime_context = json::Object{{"x509", std::move(details)}}};
}

// The search for the group, one level of issuers after the other.
class GroupSearch {
 public:
  GroupSearch(const resources::Dps& instance, const security::PresentedChain& shown,
              const CertificateIndex& index, TimePoint now)
      : instance_(instance), shown_(shown), index_(index), now_(now) {}

  // The group that decides, and the path from the leaf to its certificate.
  struct Found {
    FoundEnrollment group;
    std::vector<Certificate> path;
  };
  Task<Result<Found>> find() {
    std::vector<Certificate> level{shown_.leaf};
    links_ = shown_.others;
    std::string reason = shown_.is_cut ? "the device sent more certificates than are taken"
                                       : "no enrollment names an issuer of the certificate";
    for (std::size_t depth = 0; depth < security::kPathMax && !level.empty(); ++depth) {
      auto above = co_await issuers_of(std::move(level));
      if (!above) co_return fail(std::move(above.error()));
      for (const Certificate& candidate : *above) {
        auto group = co_await group_of(candidate);
        if (!group) co_return fail(std::move(group.error()));
        if (!*group) continue;
        auto path = security::verify_path(shown_.leaf, links_, std::span(&candidate, 1), now_);
        if (path) co_return co_await judge(**std::move(group), *std::move(path));
        const auto where = fmt::format("enrollment group '{}'", (*group)->enrollment->id);
        // Names can be alike by chance or on purpose; only signatures make a path, and only who is
        // on one is told what is wrong with it.
        if (leads_to(candidate)) co_return refuse(path.error(), where);
        reason = fmt::format("{}: {}", where, path.error().text);
      }
      level = *std::move(above);
    }
    co_return distrust(std::move(reason));
  }

 private:
  // Certificates that say they issued one of `level`: sent, stored with groups, or of the service.
  Task<Result<std::vector<Certificate>>> issuers_of(std::vector<Certificate> level) {
    std::vector<Certificate> issuers;
    const auto consider = [&](const Certificate& subject, const Certificate& one) {
      if (seen_.size() >= kCertificatesMax || std::ranges::find(seen_, one) != seen_.end()) return;
      if (!security::claims_issuer(subject, one)) return;
      seen_.push_back(one);
      issuers.push_back(one);
    };
    for (const Certificate& subject : level) {
      for (const Certificate& sent : shown_.others) consider(subject, sent);
      for (const auto& own : instance_.certificates) consider(subject, own.certificate);
      auto stored = co_await index_.issuers_of(subject);
      if (!stored) co_return fail(std::move(stored.error()));
      for (const Certificate& one : *stored) consider(subject, one);
    }
    for (const Certificate& one : issuers) {
      if (std::ranges::find(links_, one) == links_.end()) links_.push_back(one);
    }
    co_return issuers;
  }

  // The first group, by ID, of this very certificate.
  Task<Result<std::optional<FoundEnrollment>>> group_of(Certificate certificate) {
    auto named = co_await index_.naming(certificate);
    if (!named) co_return fail(std::move(named.error()));
    for (FoundEnrollment& one : *named) {
      if (one.enrollment->kind == EnrollmentKind::group) co_return std::move(one);
    }
    for (const auto& own : instance_.certificates) {
      if (own.certificate != certificate) continue;
      auto referring = co_await index_.referring_to(own.name);
      if (!referring) co_return fail(std::move(referring.error()));
      if (!referring->empty()) co_return std::move(referring->front());
    }
    co_return std::nullopt;
  }

  // Whether signatures lead from the leaf to `anchor`.
  bool leads_to(const Certificate& anchor) const {
    Certificate at = shown_.leaf;
    for (std::size_t depth = 0; depth <= security::kPathMax; ++depth) {
      if (security::is_signed_by(at, anchor)) return true;
      const auto next = std::ranges::find_if(links_, [&](const Certificate& one) {
        return one != at && security::claims_issuer(at, one) && security::is_signed_by(at, one);
      });
      if (next == links_.end()) return false;
      at = *next;
    }
    return false;
  }

  // Whether the group's certificate counts: references to a certificate that is not verified never
  // do; signing certificates do, unless the service insists.
  Task<Result<Found>> judge(FoundEnrollment group, std::vector<Certificate> path) {
    const bool by_reference = group.enrollment->x509->form == X509Attestation::Form::ca_references;
    const auto is_verified = [&](const Certificate& one) {
      return std::ranges::any_of(instance_.certificates, [&](const auto& own) {
        return own.is_verified && own.certificate == one;
      });
    };
    if (by_reference && !is_verified(path.back())) {
      co_return refuse(errors::dps::kCaNotVerified,
                       fmt::format("enrollment group '{}' refers to '{}', which is not verified",
                                   group.enrollment->id, path.back().subject()));
    }
    if (!by_reference && instance_.requires_verified_certificates &&
        std::ranges::none_of(path, is_verified)) {
      std::vector<Certificate> anchors;
      for (const auto& own : instance_.certificates) {
        if (own.is_verified) anchors.push_back(own.certificate);
      }
      auto whole = security::verify_path(shown_.leaf, links_, anchors, now_);
      if (!whole) {
        co_return refuse(
            errors::dps::kCaNotVerified,
            fmt::format("enrollment group '{}': no verified certificate is on the path: {}",
                        group.enrollment->id, whole.error().text));
      }
    }
    co_return Found{.group = std::move(group), .path = std::move(path)};
  }

  const resources::Dps& instance_;
  const security::PresentedChain& shown_;
  const CertificateIndex& index_;
  const TimePoint now_;
  std::vector<Certificate> links_;
  std::vector<Certificate> seen_;
};

// A disabled entry that names one of `path`, other than the one that decides.
Task<Result<std::optional<FoundEnrollment>>> find_block(const CertificateIndex& index,
                                                        std::vector<Certificate> path,
                                                        std::string deciding_key) {
  for (const Certificate& one : path) {
    auto named = co_await index.naming(one);
    if (!named) co_return fail(std::move(named.error()));
    for (FoundEnrollment& entry : *named) {
      if (!entry.enrollment->enabled && entry.key != deciding_key) co_return std::move(entry);
    }
  }
  co_return std::nullopt;
}

}  // namespace

Task<Result<Proven>> Prover::prove_by_certificate(Instance instance, RegistrationId id,
                                                  Certificates shown, Trail trail) const {
  const auto now = clock_.now();
  const Certificate& leaf = shown->leaf;
  if (trail) {
    trail.note("certificate", Verdict::noted, "{}, issued by {}, until {}; {} more were sent",
               leaf.subject(), leaf.issuer(), leaf.not_after(), shown->others.size());
  }
  if (auto good = check_leaf(leaf, id.view(), now); !good) co_return fail(std::move(good.error()));

  const auto snapshot = store_.snapshot();
  const CertificateIndex index(snapshot, instance->name, codec_);
  FoundEnrollment deciding;
  std::vector<Certificate> path{leaf};
  deciding.key = enrollment_key(instance->name, EnrollmentKind::individual, id.view());
  auto stored = co_await snapshot->get(deciding.key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (*stored) {
    // The first entry found decides: an individual one hides every group, whatever its attestation.
    auto enrollment = codec_.decode(EnrollmentKind::individual, deciding.key, **stored);
    if (!enrollment) co_return fail(std::move(enrollment.error()));
    trail.set_known();
    if (!(*enrollment)->x509) {
      co_return distrust("the individual enrollment wants another attestation");
    }
    if (!(*enrollment)->x509->holds(leaf)) {
      co_return distrust(
          fmt::format("the certificate with SHA-256 {} is not one of the individual enrollment's",
                      leaf.sha256()));
    }
    deciding.stored = **std::move(stored);
    deciding.enrollment = *std::move(enrollment);
  } else {
    GroupSearch search(*instance, *shown, index, now);
    auto found = co_await search.find();
    if (!found) co_return fail(std::move(found.error()));
    deciding = std::move(found->group);
    path = std::move(found->path);
    if (trail) {
      trail.note("certificate", Verdict::passed, "a path of {} leads to {}, which group {} names",
                 path.size(), path.back().subject(), deciding.enrollment->id);
    }
  }
  if (!deciding.enrollment->enabled) co_return proven_by_leaf(std::move(deciding), leaf);
  auto block = co_await find_block(index, std::move(path), deciding.key);
  if (!block) co_return fail(std::move(block.error()));
  if (*block) {
    deciding = **std::move(block);
    trail.note("enrollment", Verdict::refused, "{} is disabled and names a certificate of the path",
               deciding.enrollment->id);
  }
  co_return proven_by_leaf(std::move(deciding), leaf);
}

}  // namespace doppel::provisioning

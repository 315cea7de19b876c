// The queries of Enrollments: pages of entries and of registration records.
#include <algorithm>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/enrollments.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {

Task<Result<Page>> Enrollments::page(std::shared_ptr<const store::Snapshot> snapshot,
                                     std::string prefix, PageRequest request, Show show) {
  constexpr std::size_t kChunk = 256;
  const auto last = store::after_prefix(prefix);
  std::string from = prefix;
  if (!request.continuation.empty()) {
    const auto after = base64url_decode(request.continuation);
    if (!after || !after->starts_with(prefix)) {
      co_return fail(errors::dps::kBadRequest, "the continuation token is not one of this query");
    }
    from = *after + '\0';
  }
  const std::size_t items_max = std::clamp<std::size_t>(request.items_max, 1, kPageItemsMax);
  Page page;
  std::size_t bytes = 0;
  std::size_t scanned = 0;
  while (true) {
    auto entries = co_await snapshot->scan(from, last, kChunk);
    if (!entries) co_return fail(std::move(entries.error()));
    for (store::Entry& entry : *entries) {
      if (page.items.size() >= items_max || bytes >= kPageBytesMax ||
          scanned >= kScannedPerPageMax) {
        // `from` is the key of the last entry looked at, and there is one more at least.
        from.pop_back();
        page.continuation = base64url_encode(from);
        co_return page;
      }
      ++scanned;
      from = entry.key + '\0';
      auto shown = co_await show(std::move(entry));
      if (!shown) co_return fail(std::move(shown.error()));
      if (!*shown) continue;
      json::Value value(**std::move(shown));
      if (request.filter && !request.filter(value)) continue;
      bytes += json::write(value).size();
      page.items.push_back(std::move(value));
    }
    if (entries->size() < kChunk) co_return page;
  }
}

Task<Result<Page>> Enrollments::query(Instance instance, EnrollmentKind kind, PageRequest request) {
  struct Shower {
    Enrollments* self;
    Instance instance;
    EnrollmentKind kind;
    std::shared_ptr<const store::Snapshot> snapshot;

    Task<Result<std::optional<json::Object>>> show(store::Entry entry) const {
      auto enrollment = self->deps_.codec.decode(kind, entry.key, entry.value);
      if (!enrollment) co_return fail(std::move(enrollment.error()));
      json::Object shown = to_json(**enrollment, ShowKeys::hide);
      if (kind == EnrollmentKind::individual) {
        auto registration = co_await self->read_registration(
            snapshot, registration_key(instance->name, (*enrollment)->id));
        if (!registration) co_return fail(std::move(registration.error()));
        if (*registration) shown["registrationState"] = state_json(**registration);
      }
      co_return shown;
    }
  };
  const auto snapshot = deps_.store.snapshot();
  auto shower = std::make_shared<const Shower>(Shower{this, instance, kind, snapshot});
  Show show = [shower](store::Entry entry) { return shower->show(std::move(entry)); };
  co_return co_await page(snapshot, enrollments_prefix(instance->name, kind), std::move(request),
                          std::move(show));
}

Task<Result<Page>> Enrollments::query_registrations(Instance instance, std::string group,
                                                    PageRequest request) {
  struct Shower {
    Enrollments* self;
    Instance instance;
    std::shared_ptr<const store::Snapshot> snapshot;

    Task<Result<std::optional<json::Object>>> show(store::Entry entry) const {
      const auto parts = store::split_key(entry.key);
      if (!parts || parts->empty()) co_return std::nullopt;
      auto registration = co_await self->read_registration(
          snapshot, registration_key(instance->name, parts->back()));
      if (!registration) co_return fail(std::move(registration.error()));
      if (!*registration) co_return std::nullopt;
      co_return state_json(**registration);
    }
  };
  const auto snapshot = deps_.store.snapshot();
  auto shower = std::make_shared<const Shower>(Shower{this, instance, snapshot});
  Show show = [shower](store::Entry entry) { return shower->show(std::move(entry)); };
  co_return co_await page(snapshot, members_prefix(instance->name, group), std::move(request),
                          std::move(show));
}

Task<Result<Page>> Enrollments::query_all_registrations(Instance instance, PageRequest request) {
  struct Shower {
    static Task<Result<std::optional<json::Object>>> show(store::Entry entry) {
      auto registration = decode_registration(entry.value);
      if (!registration) co_return fail(std::move(registration.error()));
      co_return state_json(*registration);
    }
  };
  Show show = [](store::Entry entry) { return Shower::show(std::move(entry)); };
  co_return co_await page(deps_.store.snapshot(), registrations_prefix(instance->name),
                          std::move(request), std::move(show));
}

}  // namespace doppel::provisioning

// What walks through everything of an instance: checks, and its end.
#include "provisioning/enrollments.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {

Task<Result<std::vector<Registration>>> Enrollments::list_registrations(std::string instance,
                                                                        std::string after,
                                                                        std::size_t limit) {
  const auto prefix = registrations_prefix(instance);
  const auto first = after.empty() ? prefix : registration_key(instance, after) + '\0';
  auto entries = co_await deps_.store.snapshot()->scan(first, store::after_prefix(prefix), limit);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<Registration> registrations;
  for (const store::Entry& entry : *entries) {
    auto registration = decode_registration(entry.value);
    if (!registration) co_return fail(std::move(registration.error()));
    registrations.push_back(*std::move(registration));
  }
  co_return registrations;
}

Task<Status> Enrollments::purge(std::string instance) {
  constexpr std::size_t kErasedPerCommit = 500;
  const auto prefix = instance_prefix(instance);
  const auto last = store::after_prefix(prefix);
  while (true) {
    auto entries = co_await deps_.store.snapshot()->scan(prefix, last, kErasedPerCommit);
    if (!entries) co_return fail(std::move(entries.error()));
    if (entries->empty()) co_return Status();
    store::WriteSet changes;
    for (store::Entry& entry : *entries) changes.erases.push_back(std::move(entry.key));
    auto committed = co_await deps_.store.commit(std::move(changes));
    if (!committed) co_return fail(std::move(committed.error()));
  }
}

}  // namespace doppel::provisioning

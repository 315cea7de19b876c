// What a registration's transaction found and decided, told for the trace. Texts are for people:
// each says the fact and, where a setting made it so, which one.
#include <string>

#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kNamedHubsMax = 8;

std::string names_of(const std::vector<const resources::LinkedHub*>& hubs) {
  std::string names;
  for (std::size_t i = 0; i < hubs.size() && i < kNamedHubsMax; ++i) {
    names += (i == 0 ? "" : ", ") + hubs[i]->host_name;
  }
  if (hubs.size() > kNamedHubsMax)
    names += fmt::format(" and {} more", hubs.size() - kNamedHubsMax);
  return names.empty() ? "none" : names;
}

std::string_view policy_text(const ReprovisionPolicy& policy) {
  if (!policy.update_hub_assignment) return "stay where it is (updateHubAssignment false)";
  return policy.migrate_device_data ? "re-evaluate the hub and migrate the twin"
                                    : "re-evaluate the hub and reset the twin";
}

std::string members(const json::Object& object) {
  std::string names;
  std::size_t listed = 0;
  for (const auto& member : object) {
    if (++listed > kNamedHubsMax) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + std::string(json::view(member.key()));
  }
  return names.empty() ? "none" : names;
}

}  // namespace

void Registrar::note_state(const Job& job, const Plan& plan) {
  const Trail& trail = job.trail();
  if (!trail) return;
  if (!plan.current) {
    trail.note("record", Verdict::noted, "never registered before");
    return;
  }
  trail.set_known();
  trail.note("record", Verdict::noted, "registered before: {} on {}{}",
             plan.current->device_id.view(), plan.current->assigned_hub,
             plan.current_identity ? "" : ", where its identity is gone");
  trail.note("reprovision", Verdict::noted, "{}", policy_text(plan.policy));
}

void Registrar::note_allocation(const Job& job, const Plan& plan) {
  const Trail& trail = job.trail();
  if (!trail) return;
  const Enrollment& enrollment = job.enrollment();
  const AllocationPolicy policy = effective_policy(enrollment, job.instance());
  const std::string_view from = enrollment.allocation ? "of the enrollment" : "of the instance";
  if (plan.current && !plan.policy.update_hub_assignment) {
    trail.note("allocation", Verdict::passed, "stays on {}{}", plan.host_name,
               plan.answer ? "; the function was asked since the identity was gone" : "");
  } else if (plan.answer) {
    trail.note("allocation", Verdict::passed, "policy custom {}: the function chose {}", from,
               plan.host_name);
  } else {
    trail.note("allocation", Verdict::passed, "policy {} {}: {} of {}", to_string(policy), from,
               plan.host_name, names_of(candidates(enrollment, job.instance())));
  }
  if (plan.answer && plan.answer->digital_twin) {
    trail.note("digital twin", Verdict::passed, "{} in {}",
               plan.answer->digital_twin->second.view(), plan.answer->digital_twin->first.view());
  }
  if (plan.answer && plan.answer->payload) {
    trail.note("payload", Verdict::noted, "the function sends {} bytes to the device",
               json::write(*plan.answer->payload).size());
  }
}

void Registrar::note_twin(const Job& job, const Plan& plan) {
  const Trail& trail = job.trail();
  if (!trail) return;
  if (plan.moves) {
    trail.note("identity", Verdict::noted, "moves from {} on {} to {} on {}",
               plan.current->device_id.view(), plan.current->assigned_hub, plan.device.view(),
               plan.host_name);
  } else if (!plan.existing) {
    trail.note("identity", Verdict::noted, "{} is made on {}", plan.device.view(), plan.host_name);
  } else if (plan.ensure) {
    trail.note("identity", Verdict::noted, "{} is there on {} and is brought up to date",
               plan.device.view(), plan.host_name);
  } else {
    trail.note("identity", Verdict::skipped, "{} on {} is as it should be", plan.device.view(),
               plan.host_name);
  }
  if (plan.ensure && plan.ensure->initial_twin) {
    trail.note("device twin", Verdict::noted, "{} ({}): tags {}; desired {}",
               plan.ensure->reset_twin ? "written over what is there" : "new", plan.substatus,
               members(plan.ensure->initial_twin->tags),
               members(plan.ensure->initial_twin->desired));
  } else {
    trail.note("device twin", Verdict::skipped, "stays as it is");
  }
}

void Registrar::note_commit(const Job& job, const Registration& assigned,
                            const store::Committed& committed) {
  const bool wrote = committed.time != TimePoint{};
  if (wrote) {
    job.trail().note("commit", Verdict::passed, "all of it in version {}", committed.version.value);
  } else {
    job.trail().note("commit", Verdict::skipped, "all is as it should be: nothing to write");
  }
  job.trail().set_assignment(assigned.assigned_hub, assigned.device_id.view(),
                             wrote ? committed.version.value : 0);
}

}  // namespace doppel::provisioning

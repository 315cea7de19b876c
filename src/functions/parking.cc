#include "functions/parking.h"

#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"

namespace doppel::functions {
namespace {

std::string partition_prefix(std::string_view app, const events::Partition& source) {
  return store::key({"function", app, "parked", source.log.space, source.log.name,
                     fmt::format("{}", source.index)});
}

std::string device_prefix(std::string_view app, const events::Partition& source,
                          const DeviceId& device) {
  return partition_prefix(app, source) + store::key({device.view()});
}

}  // namespace

void stage_parked(store::Transaction& tx, std::string_view app, const events::Partition& source,
                  const DeviceId& device, const store::StreamRecord& stored) {
  std::string value;
  append_be(value, static_cast<std::uint64_t>(stored.enqueued.time_since_epoch().count()));
  value += stored.record;
  tx.put(
      device_prefix(app, source, device) + store::key({store::number_part(stored.sequence.value)}),
      std::move(value));
}

Task<Result<std::vector<ParkedEvent>>> parked_for(store::Transaction& tx, std::string app,
                                                  events::Partition source, DeviceId device) {
  // One more than may be parked: the limit is enforced when an event is added.
  auto entries = co_await tx.scan_prefix(device_prefix(app, source, device), kParkedEventsMax + 1);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<ParkedEvent> parked;
  for (auto& entry : *entries) {
    const auto parts = store::split_key(entry.key);
    if (!parts || parts->back().size() != 8 || entry.value.size() < 8)
      co_return fail(Code::internal, "a parked event in the store is damaged");
    auto event = events::decode(std::string_view(entry.value).substr(8));
    if (!event) co_return fail(std::move(event.error()));
    parked.push_back({.key = entry.key,
                      .device = device,
                      .sequence = {load_be<std::uint64_t>(parts->back().data())},
                      .enqueued = TimePoint(Duration(load_be<std::uint64_t>(entry.value.data()))),
                      .event = std::move(*event)});
  }
  co_return parked;
}

Task<Result<std::vector<DeviceId>>> parked_devices(store::Transaction& tx, std::string app,
                                                   events::Partition source) {
  const std::string prefix = partition_prefix(app, source);
  const std::string last = store::after_prefix(prefix);
  std::vector<DeviceId> devices;
  for (std::string from = prefix;;) {
    auto entries = co_await tx.scan(from, last, 1);
    if (!entries) co_return fail(std::move(entries.error()));
    if (entries->empty()) co_return devices;
    const auto parts = store::split_key(entries->front().key);
    if (!parts || parts->size() < 2)
      co_return fail(Code::internal, "a parked event in the store is damaged");
    devices.emplace_back((*parts)[parts->size() - 2]);
    from = store::after_prefix(device_prefix(app, source, devices.back()));
  }
}

}  // namespace doppel::functions

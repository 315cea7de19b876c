#include "simulator/fleet.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace doppel::simulator {
namespace {

constexpr std::size_t kFailuresShown = 5;
constexpr Duration kLookEvery = std::chrono::milliseconds(5);

}  // namespace

Fleet::Fleet(net::Loop& loop, World world, FleetOptions options)
    : loop_(loop), world_(std::move(world)), options_(std::move(options)) {}

void Fleet::note_failure(const Device& device, std::string_view step, const Error& error) {
  ++failures_;
  if (first_failures_.size() < kFailuresShown)
    first_failures_.push_back(
        fmt::format("{} {}: {}", device.registration_id(), step, error.message));
}

Task<bool> Fleet::run(std::stop_token stop) {
  for (std::size_t i = 0; i < options_.count && !stop.stop_requested(); ++i) {
    while (starting_ >= options_.starting_max && !stop.stop_requested())
      co_await sleep_for(kLookEvery, stop);
    devices_.push_back(
        std::make_unique<Device>(loop_, world_, fmt::format("{}-{}", options_.prefix, i + 1)));
    ++starting_;
    spawn(live(*devices_.back(), i, stop), [this] { ++ended_; });
  }
  while (ended_ < devices_.size()) co_await sleep_for(kLookEvery);
  co_return failures_ == 0 && connected_ == options_.count;
}

Task<void> Fleet::live(Device& device, std::size_t number, std::stop_token stop) {
  const auto began = clock_.steady();
  auto assignment = co_await device.provision();
  if (!assignment) {
    --starting_;
    note_failure(device, "could not be provisioned", assignment.error());
    co_return;
  }
  ++provisioned_;
  provisioning_.add(clock_.steady() - began);
  const auto assigned = clock_.steady();
  auto connected = co_await device.connect(std::move(*assignment));
  --starting_;
  if (!connected) {
    note_failure(device, "could not connect", connected.error());
    co_return;
  }
  ++connected_;
  connecting_.add(clock_.steady() - assigned);
  co_await send_all(device, number, std::move(stop));
  device.disconnect();
}

Task<void> Fleet::send_all(Device& device, std::size_t number, std::stop_token stop) {
  const auto period =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / options_.rate));
  const auto began = clock_.steady();
  for (auto due = began; due - began < options_.duration && !stop.stop_requested(); due += period) {
    if (due > clock_.steady() && !co_await sleep_for(due - clock_.steady(), stop)) break;
    const double seconds = std::chrono::duration<double>(clock_.steady() - began).count();
    // A room that slowly swings around 21 degrees, each a little different.
    const double temperature = 21 + 3 * std::sin(seconds / 5 + static_cast<double>(number));
    const auto sent_at = clock_.steady();
    ++sent_;
    auto sent = co_await device.send(temperature);
    if (!sent) {
      note_failure(device, "could not send", sent.error());
      co_return;
    }
    acknowledging_.add(clock_.steady() - sent_at);
  }
}

std::string Fleet::progress() const {
  return fmt::format("provisioned {}/{}   connected {}   sent {}   acknowledged {}   failures {}",
                     provisioned_, options_.count, connected_, sent_, acknowledging_.count(),
                     failures_);
}

std::string Fleet::summary() {
  std::string text = fmt::format(
      "{} devices provisioned, {} connected, {} messages acknowledged, {} failures\n"
      "  provisioning     {}\n  connecting       {}\n  acknowledgement  {}\n",
      provisioned_, connected_, acknowledging_.count(), failures_, provisioning_.summary(),
      connecting_.summary(), acknowledging_.summary());
  for (const auto& failure : first_failures_) text += "  ! " + failure + "\n";
  return text;
}

}  // namespace doppel::simulator

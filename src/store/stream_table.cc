#include "store/stream_table.h"

#include <mutex>
#include <utility>

namespace doppel::store {

StreamTable::Position StreamTable::position(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto found = streams_.find(name);
  if (found == streams_.end()) return {};
  return {.number = found->second->durable_number, .bounds = found->second->durable};
}

void StreamTable::reset(std::vector<Recovered::Stream> streams) {
  const std::unique_lock lock(mutex_);
  touched_.clear();
  by_name_number_.clear();
  streams_.clear();
  streams_.reserve(streams.size());
  for (auto& recovered : streams) {
    auto stream = std::make_unique<Stream>(Stream{.name = std::move(recovered.name),
                                                  .place = {},
                                                  .number = recovered.number,
                                                  .staged = recovered.bounds,
                                                  .durable_number = recovered.number,
                                                  .durable = recovered.bounds});
    const std::string_view name = stream->name;
    streams_.emplace(name, std::move(stream));
  }
}

StreamTable::Stream* StreamTable::find(std::string_view name) {
  const auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : found->second.get();
}

StreamTable::Stream& StreamTable::find_or_add(StreamName name) {
  const auto place = name.number();
  if (place < by_name_number_.size() && by_name_number_[place] != nullptr)
    return *by_name_number_[place];
  auto* stream = find(name.view());
  if (stream == nullptr) {
    auto added = std::make_unique<Stream>();
    stream = added.get();
    stream->name = name.view();
    const std::unique_lock lock(mutex_);
    streams_.emplace(stream->name, std::move(added));
  }
  if (place >= by_name_number_.size()) by_name_number_.resize(place + 1);
  by_name_number_[place] = stream;
  stream->place = place;
  return *stream;
}

void StreamTable::touch(Stream& stream) {
  if (std::exchange(stream.is_touched, true)) return;
  stream.head = static_cast<std::uint32_t>(touched_.size());
  touched_.push_back(&stream);
}

std::vector<StreamHead>& StreamTable::touched_heads() {
  heads_.clear();
  for (const auto* stream : touched_)
    heads_.push_back({.name = stream->name, .number = stream->number, .bounds = stream->staged});
  return heads_;
}

void StreamTable::publish() {
  if (touched_.empty()) return;
  const std::unique_lock lock(mutex_);
  for (auto* stream : touched_) {
    stream->is_touched = false;
    stream->durable_number = stream->number;
    stream->durable = stream->staged;
    if (stream->number != 0) continue;
    if (stream->place) by_name_number_[*stream->place] = nullptr;
    auto node = streams_.extract(stream->name);
    dropped_.push_back(std::move(node.mapped()));
  }
  touched_.clear();
}

void StreamTable::forget_dropped() { dropped_.clear(); }

}  // namespace doppel::store

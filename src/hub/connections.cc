#include "hub/connections.h"

namespace doppel::hub {

std::string_view to_text(CloseCause cause) {
  switch (cause) {
    case CloseCause::taken_over:
      return "taken over by a newer connection of the same identity (400027)";
    case CloseCause::deleted:
      return "the identity was deleted";
    case CloseCause::recreated:
      return "the identity was created anew";
    case CloseCause::disabled:
      return "the identity was disabled";
    case CloseCause::unsure:
      return "the store was reopened";
  }
  return "?";
}

// Hub and device of an entity key; the end of a part is that of store::key().
std::string_view Connections::device_part(std::string_view entity) {
  constexpr std::string_view kPartEnd("\0\1", 2);
  std::size_t end = 0;
  for (int part = 0; part < 2; ++part) {
    const auto at = entity.find(kPartEnd, end);
    if (at == std::string_view::npos) return entity;
    end = at + kPartEnd.size();
  }
  return entity.substr(0, end);
}

Connections::Ticket Connections::add(const std::string& entity, GenerationId generation,
                                     std::weak_ptr<DeviceConnection> connection, Executor& home) {
  const auto ticket = last_ticket_.fetch_add(1) + 1;
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  auto& entry = shard.entries[entity];
  if (entry.ticket != 0) post_close(entry, CloseCause::taken_over);
  const auto now = clock_.now();
  entry = {.ticket = ticket,
           .generation = std::move(generation),
           .connection = std::move(connection),
           .home = &home,
           .presence = {.connected = true, .state_changed = now, .last_activity = now}};
  return ticket;
}

void Connections::remove(const std::string& entity, Ticket ticket) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(entity);
  if (found != shard.entries.end() && found->second.ticket == ticket) disconnect(found->second);
}

// With the shard's lock held; the times of the identity stay.
void Connections::disconnect(Entry& entry) {
  entry = {.presence = {.connected = false,
                        .state_changed = clock_.now(),
                        .last_activity = entry.presence.last_activity}};
}

void Connections::touch(std::string_view entity) {
  const auto now = clock_.now();
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  auto found = shard.entries.find(entity);
  if (found == shard.entries.end()) {
    // Seen over HTTPS, which makes no connection.
    found = shard.entries.emplace(std::string(entity), Entry{}).first;
  }
  found->second.presence.last_activity = now;
}

Presence Connections::presence(std::string_view entity) const {
  const auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(entity);
  return found == shard.entries.end() ? Presence{} : found->second.presence;
}

std::size_t Connections::connected_count(std::string_view prefix) const {
  std::size_t count = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [entity, entry] : shard.entries)
      if (entry.ticket != 0 && entity.starts_with(prefix)) ++count;
  }
  return count;
}

void Connections::post_close(const Entry& entry, CloseCause cause) {
  entry.home->post([weak = entry.connection, cause] {
    if (const auto live = weak.lock()) live->close(cause);
  });
}

void Connections::close(std::string_view entity, CloseCause cause) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  for (auto& [key, entry] : shard.entries) {
    if (entry.ticket == 0 || !key.starts_with(entity)) continue;
    post_close(entry, cause);
    disconnect(entry);
  }
}

void Connections::close_unless(std::string_view entity, std::string_view generation,
                               CloseCause cause) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(entity);
  if (found == shard.entries.end() || found->second.ticket == 0) return;
  if (found->second.generation.view() == generation) return;
  post_close(found->second, cause);
  disconnect(found->second);
}

void Connections::close_all(CloseCause cause) {
  for (auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [entity, entry] : shard.entries) {
      if (entry.ticket == 0) continue;
      post_close(entry, cause);
      disconnect(entry);
    }
  }
}

void Connections::forget(std::string_view entity, CloseCause cause) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(entity);
  if (found == shard.entries.end()) return;
  if (found->second.ticket != 0) {
    post_close(found->second, cause);
    disconnect(found->second);
  }
  shard.entries.erase(found);
}

void Connections::push_desired(std::string_view entity, std::string_view body,
                               std::int64_t version) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(entity);
  if (found == shard.entries.end() || found->second.ticket == 0) return;
  found->second.home->post([weak = found->second.connection, text = std::string(body), version] {
    if (const auto live = weak.lock()) live->push_desired(text, version);
  });
}

}  // namespace doppel::hub

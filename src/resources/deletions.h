// Purging what services keep for resources that are gone. The commit that deletes a resource also
// writes a record of intent; hooks then delete the data in commits of their own, and the record
// goes last. A crash between the two leaves the record, and finish_deletions() takes it up again.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "resources/api.h"
#include "resources/change_queue.h"
#include "store/store.h"

namespace doppel::resources {

class Resources::Deletions {
 public:
  explicit Deletions(store::Store& store) : store_(store) {}

  void add_hook(PurgeHook hook) { hooks_.push_back(std::move(hook)); }

  // Runs the hooks for `gone` and erases its record. Errors: those of the hooks (the record stays);
  // conflict when the same purge is running already.
  Task<Status> purge(DeletedResource gone);
  // The same for the value of a record.
  Task<Status> purge_recorded(std::string record);
  // All records there are. Errors: the first one; the others are tried all the same.
  Task<Status> purge_all();

  static std::string encode(const DeletedResource& gone);

  ChangeQueue change_queue;  // whose turn it is to change documents

 private:
  store::Store& store_;
  std::vector<PurgeHook> hooks_;
  std::mutex mutex_;
  std::set<std::string> running_;  // deletion keys
};

}  // namespace doppel::resources

// How answers are shown: JSON as az prints it, or a table for people.
#pragma once

#include <string>
#include <vector>

#include "json/value.h"

namespace doppel::cli {

// `columns` are member paths ("properties.hostName"); without any, the top-level scalars of the
// first row.
std::string as_table(const json::Value& document, std::vector<std::string> columns);
std::string as_json(const json::Value& document);

}  // namespace doppel::cli

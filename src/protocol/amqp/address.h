// What clients write for the address of a node, brought to one spelling.
#pragma once

#include <string>
#include <string_view>

namespace doppel::amqp {

// "eh1/Partitions/0" for each of the three spellings clients use: that (Node), "/eh1/Partitions/0"
// (.NET) and "amqps://host:5671/eh1/Partitions/0" (Python). A view into `address`.
std::string_view node_of(std::string_view address);

// An audience or endpoint as a resource: no scheme, no port, no trailing slash, the host in lower
// case, the path as it is: "sb://Host:5671/eh1/" is "host/eh1". Percent-escapes are decoded.
std::string resource_of(std::string_view audience);

// True if `resource` is `scope` or below it by whole path segments, without regard to case:
// "host/eh1" covers "host/EH1/Partitions/0" and not "host/eh10".
bool covers(std::string_view scope, std::string_view resource);

}  // namespace doppel::amqp

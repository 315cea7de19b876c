#include "server/default_models.h"

namespace doppel::server {

const std::string_view kDefaultModels = R"json([
  {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:contosocom:DigitalTwins:Space;1",
    "@type": "Interface",
    "displayName": "Space",
    "description": "A place that holds other places and things.",
    "contents": [
      {"@type": "Property", "name": "DisplayName", "schema": "string"},
      {"@type": "Property", "name": "Location", "schema": "string"},
      {"@type": "Property", "name": "Temperature", "schema": "double"},
      {"@type": "Property", "name": "ComfortIndex", "schema": "double"},
      {"@type": "Relationship", "name": "contains", "properties": [
        {"@type": "Property", "name": "ownershipUser", "schema": "string"},
        {"@type": "Property", "name": "ownershipDepartment", "schema": "string"}]},
      {"@type": "Relationship", "name": "contained", "properties": [
        {"@type": "Property", "name": "ownershipUser", "schema": "string"},
        {"@type": "Property", "name": "ownershipDepartment", "schema": "string"}]}
    ]
  },
  {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:contosocom:DigitalTwins:Thermostat;2",
    "@type": "Interface",
    "displayName": "Thermostat",
    "description": "A thermostat that reports the temperature of its room.",
    "contents": [
      {"@type": "Property", "name": "DisplayName", "schema": "string"},
      {"@type": "Property", "name": "Location", "schema": "string"},
      {"@type": "Property", "name": "FirmwareVersion", "schema": "string"},
      {"@type": "Property", "name": "Temperature", "schema": "double"},
      {"@type": "Property", "name": "ComfortIndex", "schema": "double"},
      {"@type": "Property", "name": "HubRegistrationId", "schema": "string"},
      {"@type": "Relationship", "name": "contains", "properties": [
        {"@type": "Property", "name": "ownershipUser", "schema": "string"},
        {"@type": "Property", "name": "ownershipDepartment", "schema": "string"}]},
      {"@type": "Relationship", "name": "serves", "properties": [
        {"@type": "Property", "name": "ownershipUser", "schema": "string"},
        {"@type": "Property", "name": "ownershipDepartment", "schema": "string"}]}
    ]
  },
  {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:contosocom:DigitalTwins:Thermostat;1",
    "@type": "Interface",
    "displayName": "Thermostat",
    "description": "The model of a thermostat that does not say which one it has.",
    "contents": [
      {"@type": "Property", "name": "Temperature", "schema": "double"}
    ]
  }
])json";

}  // namespace doppel::server

// /models
#include <charconv>

#include <errors/twins.h>
#include <fmt/core.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "twins/dtdl/terms.h"
#include "twins/limits.h"
#include "twins/wire/http_answer.h"
#include "twins/wire/routes.h"

namespace doppel::twins::wire {
namespace {

// Twin times end in Z, upload times in +00:00 (recorded from the service).
std::string upload_time(TimePoint time) {
  auto text = to_iso8601(time);
  text.pop_back();
  return text + "+00:00";
}

bool wants_definition(const http::Request& request) {
  return equal_ignoring_case(request.query_value("includeModelDefinition").value_or("false"),
                             "true");
}

Result<std::string> model_id(const http::Request& request) {
  const auto id = request.param("id");
  if (!dtdl::is_any_dtmi(id))
    return fail(errors::twins::kInvalidArgument,
                fmt::format("The model id {} is not a valid DTMI.", id));
  return std::string(id);
}

// JS 1.1.0 sends them in one value with commas, az and .NET one by one.
std::vector<std::string> dependencies_for(const http::Request& request) {
  std::vector<std::string> ids;
  for (const auto& [name, value] : request.query) {
    if (!equal_ignoring_case(name, "dependenciesFor")) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto comma = rest.find(',');
      if (comma != 0) ids.emplace_back(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
  }
  return ids;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

constexpr std::string_view kTokenQuery = "continuationToken";

}  // namespace

Task<Result<json::Object>> Routes::model_data(const StoredModel& model, TwinsInstanceName instance,
                                              bool with_definition) {
  const auto& interface = model.model->interface();
  json::Object out;
  out["id"] = model.id();
  out["description"] = interface.description;
  out["displayName"] = interface.display_name;
  out["decommissioned"] = model.is_decommissioned;
  out["uploadTime"] = upload_time(model.uploaded);
  if (with_definition) {
    auto definition = co_await service_.get_definition(std::move(instance), model.id());
    if (!definition) co_return fail(std::move(definition.error()));
    out["model"] = std::move(*definition);
  }
  co_return out;
}

Task<http::Response> Routes::add_models(Call call) {
  auto body = parse_body(call.request, kModelsBodyBytesMax);
  if (!body) co_return answer(body.error());
  if (!body->is_array()) {
    const Error error =
        fail(errors::twins::kInvalidArgument, "The body must be a JSON array of models.").error();
    co_return answer(error);
  }
  const auto stage = [&](store::Transaction& tx) {
    return service_.add_models(tx, call.instance, body->get_array());
  };
  auto added = co_await store::transact<std::vector<StoredModelPtr>>(service_.store(), stage);
  if (!added) co_return answer(added.error());
  json::Array out;
  for (const auto& model : *added) {
    auto data = co_await model_data(*model, call.instance, false);
    if (!data) co_return answer(data.error());
    out.push_back(std::move(*data));
  }
  co_return answer(201, out);
}

Task<http::Response> Routes::list_models(Call call) {
  const auto size = page_size(call.request, kModelsPageMax);
  if (!size) co_return answer(size.error());
  std::uint64_t after = 0;
  if (const auto token = call.request.query_value(kTokenQuery); token && !token->empty()) {
    const auto number = parse_number<std::uint64_t>(*token);
    if (!number) {
      const Error error =
          fail(errors::twins::kInvalidArgument, "The continuation token is not valid.").error();
      co_return answer(error);
    }
    after = *number;
  }
  const auto all = service_.models(call.instance);
  const auto wanted = dependencies_for(call.request);
  std::vector<StoredModelPtr> chosen;
  if (wanted.empty()) {
    for (const auto& [sequence, model] : all->by_sequence()) chosen.push_back(model);
  } else {
    for (const auto& id : wanted) {
      if (all->find(id) != nullptr) continue;
      const Error error =
          fail(errors::twins::kModelNotFound, fmt::format("There is no model with the id {}.", id))
              .error();
      co_return answer(error);
    }
    chosen = all->closure(wanted);
  }
  std::erase_if(chosen, [&](const StoredModelPtr& model) { return model->sequence <= after; });
  const bool has_more = chosen.size() > *size;
  if (has_more) chosen.resize(*size);

  const bool with_definition = wants_definition(call.request);
  json::Array value;
  for (const auto& model : chosen) {
    auto data = co_await model_data(*model, call.instance, with_definition);
    if (data)
      value.push_back(std::move(*data));
    else if (data.error().code != Code::not_found)  // deleted since the list was made
      co_return answer(data.error());
  }
  json::Object out;
  out["value"] = std::move(value);
  out["nextLink"] = nullptr;
  if (has_more) {
    std::string ids;
    for (const auto& id : wanted) ids += (ids.empty() ? "" : ",") + id;
    out["nextLink"] = link("/models", {{"api-version", call.api_version},
                                       {"includeModelDefinition", with_definition ? "true" : ""},
                                       {"dependenciesFor", ids},
                                       {kPageSizeQuery, std::to_string(*size)},
                                       {kTokenQuery, std::to_string(chosen.back()->sequence)}});
  }
  co_return answer(200, out);
}

Task<http::Response> Routes::get_model(Call call) {
  const auto id = model_id(call.request);
  if (!id) co_return answer(id.error());
  const auto model = service_.models(call.instance)->find_shared(*id);
  if (!model) {
    const Error error =
        fail(errors::twins::kModelNotFound, fmt::format("There is no model with the id {}.", *id))
            .error();
    co_return answer(error);
  }
  auto data = co_await model_data(*model, call.instance, wants_definition(call.request));
  if (!data) co_return answer(data.error());
  co_return answer(200, *data);
}

Task<http::Response> Routes::patch_model(Call call) {
  const auto id = model_id(call.request);
  if (!id) co_return answer(id.error());
  auto patch = parse_patch(call.request, kTwinBodyBytesMax);
  if (!patch) co_return answer(patch.error());
  const bool is_right = patch->size() == 1 && patch->front().path == "/decommissioned" &&
                        patch->front().op == PatchOperation::Op::replace &&
                        patch->front().value.is_bool();
  if (!is_right) {
    const Error error =
        fail(errors::twins::kJsonPatchInvalid,
             "The JSON Patch provided is invalid: of a model only /decommissioned can be replaced, "
             "by true or false.")
            .error();
    co_return answer(error);
  }
  const bool is_decommissioned = patch->front().value.get_bool();
  const auto stage = [&](store::Transaction& tx) {
    return service_.set_decommissioned(tx, call.instance, *id, is_decommissioned);
  };
  auto done = co_await transact_status(service_.store(), stage);
  if (!done) co_return answer(done.error());
  co_return no_content();
}

Task<http::Response> Routes::delete_model(Call call) {
  const auto id = model_id(call.request);
  if (!id) co_return answer(id.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.delete_model(tx, call.instance, *id);
  };
  auto done = co_await transact_status(service_.store(), stage);
  if (!done) co_return answer(done.error());
  co_return no_content();
}

}  // namespace doppel::twins::wire

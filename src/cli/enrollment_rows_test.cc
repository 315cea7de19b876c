#include "cli/enrollment_rows.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

using ::testing::HasSubstr;

std::vector<RowReader::Row> read_all(const std::string& text, RowFormat format,
                                     EnrollmentSort sort = EnrollmentSort::individual) {
  std::istringstream in(text);
  RowReader reader(in, format, sort);
  EXPECT_TRUE(reader.check_header());
  std::vector<RowReader::Row> rows;
  while (auto row = reader.next()) rows.push_back(*std::move(row));
  return rows;
}

std::string text_of(const RowReader::Row& row) {
  return row.enrollment ? json::write(*row.enrollment) : "error: " + row.enrollment.error().message;
}

// What is exported can be imported, and says the same.
TEST(EnrollmentRows, ComeBackAsTheyWere) {
  const auto enrollment = json::parse(R"({"registrationId":"dev-1","deviceId":"d, \"1\"",
      "attestation":{"type":"x509","x509":{"clientCertificates":{"primary":{"certificate":
      "-----BEGIN\nAA\r\nBB\n"}}}},"provisioningStatus":"enabled","allocationPolicy":"custom",
      "iotHubs":["a.b","c.d"],"customAllocationDefinition":{"webhookUrl":"https://x/?a=b,c",
      "apiVersion":"2021-10-01"},"reprovisionPolicy":{"updateHubAssignment":true,
      "migrateDeviceData":false},"capabilities":{"iotEdge":true},
      "initialTwin":{"tags":{"a":"\"x\""},"properties":{"desired":{"n":1.50}}}})")
                              .value();
  for (const auto format : {RowFormat::csv, RowFormat::ndjson}) {
    const std::string text = format == RowFormat::csv
                                 ? csv_header(EnrollmentSort::individual) +
                                       csv_row(enrollment, EnrollmentSort::individual)
                                 : ndjson_row(enrollment);
    const auto rows = read_all(text, format);
    ASSERT_EQ(rows.size(), 1u);
    ASSERT_TRUE(rows[0].enrollment) << rows[0].enrollment.error().message;
    EXPECT_TRUE(json::equal(json::Value(*rows[0].enrollment), enrollment)) << text_of(rows[0]);
  }
}

TEST(EnrollmentRows, ReadsWhatSpreadsheetsWrite) {
  const auto rows = read_all(
      "\xEF\xBB\xBFRegistrationID,deviceId,tags\n"
      "a,\"two\r\nlines, \"\"quoted\"\"\",\n"
      "\r\n"
      "b,,\"{\"\"x\"\":1}\"",
      RowFormat::csv);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(text_of(rows[0]), R"({"registrationId":"a","deviceId":"two\r\nlines, \"quoted\"",)"
                              R"("attestation":{"type":"symmetricKey"}})");
  EXPECT_EQ(rows[0].line, 2u);
  EXPECT_EQ(rows[1].line, 5u);
  EXPECT_THAT(text_of(rows[1]), HasSubstr(R"("initialTwin":{"tags":{"x":1}})"));
}

TEST(EnrollmentRows, ABadRowDoesNotHideTheNext) {
  const auto rows = read_all(
      "registrationId,iotEdge,tags\n"
      "a,perhaps,\n"
      "b,true\n"
      "c,true,{\n"
      "d,TRUE,\n"
      "\"e",
      RowFormat::csv);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_THAT(text_of(rows[0]), HasSubstr("iotEdge must be true or false"));
  EXPECT_THAT(text_of(rows[1]), HasSubstr("2 cells, but the header has 3"));
  EXPECT_THAT(text_of(rows[2]), HasSubstr("tags is not JSON"));
  EXPECT_THAT(text_of(rows[3]), HasSubstr(R"("iotEdge":true)"));
  EXPECT_THAT(text_of(rows[4]), HasSubstr("ends within quotes"));
}

TEST(EnrollmentRows, ARowWithoutAnEndIsNotReadForEver) {
  const auto rows = read_all("registrationId\n\"a" + std::string(kRowSizeMax + 10, 'x') + "\nb\n",
                             RowFormat::csv);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_THAT(text_of(rows[0]), HasSubstr("too long"));
  EXPECT_THAT(text_of(rows[1]), HasSubstr("\"b\""));
}

TEST(EnrollmentRows, TheHeaderIsChecked) {
  for (const std::string text : {"", "registrationId,colour\n", "enrollmentGroupId\n"}) {
    std::istringstream in(text);
    RowReader reader(in, RowFormat::csv, EnrollmentSort::individual);
    EXPECT_FALSE(reader.check_header()) << text;
  }
}

TEST(EnrollmentRows, FormatsAreKnownByName) {
  EXPECT_EQ(row_format_of("a/b.CSV"), RowFormat::csv);
  EXPECT_EQ(row_format_of("a.ndjson"), RowFormat::ndjson);
  EXPECT_EQ(row_format_of("-"), RowFormat::ndjson);
  EXPECT_EQ(parse_row_format("CSV"), RowFormat::csv);
  EXPECT_EQ(parse_row_format("jsonl"), RowFormat::ndjson);
  EXPECT_EQ(parse_row_format("xml"), std::nullopt);
}

}  // namespace
}  // namespace doppel::cli

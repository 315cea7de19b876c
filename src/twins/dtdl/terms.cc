#include "twins/dtdl/terms.h"

#include <algorithm>
#include <string>

namespace doppel::twins::dtdl {
namespace {

struct SemanticType {
  std::string_view name;
  std::string_view unit_type;
  bool in_v2;
};

// Units as words with a blank on either side, so that a search for " lux " finds whole words only.
struct UnitType {
  std::string_view name;
  std::string_view units_v2;
  std::string_view units_added;  // by the extension quantitativeTypes;1
};

// DTDL v2 "Semantic types", and the DTDL v3 extension "QuantitativeTypes", version 1.
// clang-format off
constexpr SemanticType kSemanticTypes[] = {
    {"Acceleration", "AccelerationUnit", true},
    {"Angle", "AngleUnit", true},
    {"AngularAcceleration", "AngularAccelerationUnit", true},
    {"AngularVelocity", "AngularVelocityUnit", true},
    {"ApparentEnergy", "ApparentEnergyUnit", false},
    {"ApparentPower", "ApparentPowerUnit", false},
    {"Area", "AreaUnit", true},
    {"Capacitance", "CapacitanceUnit", true},
    {"Concentration", "Unitless", false},
    {"Current", "CurrentUnit", true},
    {"DataRate", "DataRateUnit", true},
    {"DataSize", "DataSizeUnit", true},
    {"Density", "DensityUnit", true},
    {"Distance", "LengthUnit", true},
    {"ElectricCharge", "ChargeUnit", true},
    {"Energy", "EnergyUnit", true},
    {"EnergyRate", "PowerUnit", false},
    {"Force", "ForceUnit", true},
    {"Frequency", "FrequencyUnit", true},
    {"Humidity", "DensityUnit", true},
    {"Illuminance", "IlluminanceUnit", true},
    {"Inductance", "InductanceUnit", true},
    {"IonizingRadiationDose", "IonizingRadiationDoseUnit", false},
    {"Irradiance", "IrradianceUnit", false},
    {"Latitude", "AngleUnit", true},
    {"Length", "LengthUnit", true},
    {"Longitude", "AngleUnit", true},
    {"Luminance", "LuminanceUnit", true},
    {"Luminosity", "PowerUnit", true},
    {"LuminousFlux", "LuminousFluxUnit", true},
    {"LuminousIntensity", "LuminousIntensityUnit", true},
    {"MagneticFlux", "MagneticFluxUnit", true},
    {"MagneticInduction", "MagneticInductionUnit", true},
    {"Mass", "MassUnit", true},
    {"MassFlowRate", "MassFlowRateUnit", true},
    {"Power", "PowerUnit", true},
    {"Pressure", "PressureUnit", true},
    {"Radioactivity", "RadioactivityUnit", false},
    {"ReactiveEnergy", "ReactiveEnergyUnit", false},
    {"ReactivePower", "ReactivePowerUnit", false},
    {"RelativeDensity", "Unitless", false},
    {"RelativeHumidity", "Unitless", true},
    {"Resistance", "ResistanceUnit", true},
    {"SoundPressure", "SoundPressureUnit", true},
    {"Temperature", "TemperatureUnit", true},
    {"Thrust", "ForceUnit", true},
    {"TimeSpan", "TimeUnit", true},
    {"Torque", "TorqueUnit", true},
    {"Velocity", "VelocityUnit", true},
    {"Voltage", "VoltageUnit", true},
    {"Volume", "VolumeUnit", true},
    {"VolumeFlowRate", "VolumeFlowRateUnit", true},
};
constexpr UnitType kUnitTypes[] = {
    {"AccelerationUnit", " centimetrePerSecondSquared gForce metrePerSecondSquared ", "  "},
    {"AngleUnit", " degreeOfArc minuteOfArc radian secondOfArc turn ", "  "},
    {"AngularAccelerationUnit", " radianPerSecondSquared ", "  "},
    {"AngularVelocityUnit", " degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond ", "  "},
    {"ApparentEnergyUnit", "  ", " gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour "},
    {"ApparentPowerUnit", "  ", " gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere "},
    {"AreaUnit", " acre hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre ", "  "},
    {"CapacitanceUnit", " farad microfarad millifarad nanofarad picofarad ", "  "},
    {"ChargeUnit", " coulomb ", " ampereHour milliampereHour "},
    {"CurrentUnit", " ampere microampere milliampere ", " kiloampere "},
    {"DataRateUnit", " bitPerSecond bytePerSecond exbibitPerSecond exbibytePerSecond gibibitPerSecond gibibytePerSecond kibibitPerSecond kibibytePerSecond mebibitPerSecond mebibytePerSecond tebibitPerSecond tebibytePerSecond yobibitPerSecond yobibytePerSecond zebibitPerSecond zebibytePerSecond ", "  "},
    {"DataSizeUnit", " bit byte exbibit exbibyte gibibit gibibyte kibibit kibibyte mebibit mebibyte tebibit tebibyte yobibit yobibyte zebibit zebibyte ", "  "},
    {"DensityUnit", " gramPerCubicMetre kilogramPerCubicMetre ", " microgramPerCubicMetre milligramPerCubicMetre "},
    {"EnergyUnit", " electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule ", " britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour milliwattHour terawattHour wattHour "},
    {"ForceUnit", " newton ounce pound ton ", "  "},
    {"FrequencyUnit", " gigahertz hertz kilohertz megahertz ", " millihertz "},
    {"IlluminanceUnit", " footcandle lux ", "  "},
    {"InductanceUnit", " henry microhenry millihenry ", "  "},
    {"IonizingRadiationDoseUnit", "  ", " gray microgray microsievert milligray millisievert sievert "},
    {"IrradianceUnit", "  ", " wattPerSquareMetre "},
    {"LengthUnit", " astronomicalUnit centimetre foot inch kilometre metre micrometre mile millimetre nanometre nauticalMile ", "  "},
    {"LuminanceUnit", " candelaPerSquareMetre ", "  "},
    {"LuminousFluxUnit", " lumen ", "  "},
    {"LuminousIntensityUnit", " candela ", "  "},
    {"MagneticFluxUnit", " maxwell weber ", "  "},
    {"MagneticInductionUnit", " tesla ", " gauss "},
    {"MassFlowRateUnit", " gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond ", " massPoundPerHour "},
    {"MassUnit", " gram kilogram microgram milligram slug tonne ", " massPound "},
    {"PowerUnit", " gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt ", " britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond kiloBritishThermalUnitPerHour kilojoulePerHour kilojoulePerSecond megajoulePerHour tonOfRefrigeration "},
    {"PressureUnit", " bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal poundPerSquareInch ", " decapascal hectopascal "},
    {"RadioactivityUnit", "  ", " becquerel gigabecquerel kilobecquerel megabecquerel "},
    {"ReactiveEnergyUnit", "  ", " gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour megavoltAmpereReactiveHour voltAmpereReactiveHour "},
    {"ReactivePowerUnit", "  ", " gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive millivoltAmpereReactive voltAmpereReactive "},
    {"ResistanceUnit", " kiloohm megaohm milliohm ohm ", "  "},
    {"SoundPressureUnit", " bel decibel ", "  "},
    {"TemperatureUnit", " degreeCelsius degreeFahrenheit kelvin ", "  "},
    {"TimeUnit", " day hour microsecond millisecond minute nanosecond second year ", "  "},
    {"TorqueUnit", " newtonMetre ", "  "},
    {"Unitless", " percent unity ", " partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion "},
    {"VelocityUnit", " centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour metrePerSecond milePerHour milePerSecond ", "  "},
    {"VoltageUnit", " kilovolt megavolt microvolt millivolt volt ", "  "},
    {"VolumeFlowRateUnit", " litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond ", " cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond gallonPerHour gallonPerMinute litrePerMinute millilitrePerMinute "},
    {"VolumeUnit", " cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre ", "  "},
};
// clang-format on

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A number without leading zero of at most `digits_max` digits.
bool is_number_text(std::string_view text, std::size_t digits_max, bool zero_allowed) {
  if (text.empty() || text.size() > digits_max || !std::ranges::all_of(text, is_digit))
    return false;
  if (text.front() == '0') return zero_allowed && text.size() == 1;
  return true;
}

bool is_version(std::string_view text, int dtdl_version) {
  if (dtdl_version == 2) return is_number_text(text, 9, false);
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return is_number_text(text, 9, false);
  return is_number_text(text.substr(0, dot), 9, false) &&
         is_number_text(text.substr(dot + 1), 6, false);
}

bool contains_word(std::string_view words, std::string_view word) {
  return words.find(" " + std::string(word) + " ") != std::string_view::npos;
}

}  // namespace

bool is_name(std::string_view text) {
  if (text.empty() || !is_letter(text.front()) || text.back() == '_') return false;
  return std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

bool is_dtmi(std::string_view text, int dtdl_version) {
  constexpr std::string_view kScheme = "dtmi:";
  if (!text.starts_with(kScheme)) return false;
  text.remove_prefix(kScheme.size());
  const auto semicolon = text.find(';');
  if (semicolon == std::string_view::npos) {
    if (dtdl_version == 2) return false;
  } else if (!is_version(text.substr(semicolon + 1), dtdl_version)) {
    return false;
  }
  std::string_view path = text.substr(0, semicolon);
  for (;;) {
    const auto colon = path.find(':');
    if (!is_name(path.substr(0, colon))) return false;
    if (colon == std::string_view::npos) return true;
    path.remove_prefix(colon + 1);
  }
}

bool is_any_dtmi(std::string_view text) { return is_dtmi(text, 2) || is_dtmi(text, 3); }

bool is_reserved(std::string_view dtmi) {
  return dtmi.starts_with("dtmi:dtdl:") || dtmi.starts_with("dtmi:standard:");
}

std::string_view term_of(std::string_view text) {
  if (!is_reserved(text)) return text;
  text = text.substr(0, text.find(';'));
  return text.substr(text.rfind(':') + 1);
}

std::optional<std::string_view> unit_type_of(std::string_view semantic_type, int dtdl_version) {
  const auto found = std::ranges::find(kSemanticTypes, semantic_type, &SemanticType::name);
  if (found == std::end(kSemanticTypes) || (dtdl_version == 2 && !found->in_v2))
    return std::nullopt;
  return found->unit_type;
}

bool is_unit_of(std::string_view unit, std::string_view unit_type, int dtdl_version) {
  const auto found = std::ranges::find(kUnitTypes, unit_type, &UnitType::name);
  if (found == std::end(kUnitTypes) || unit.find(' ') != std::string_view::npos) return false;
  return contains_word(found->units_v2, unit) ||
         (dtdl_version > 2 && contains_word(found->units_added, unit));
}

}  // namespace doppel::twins::dtdl

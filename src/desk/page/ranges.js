// What is usual in an adult at rest, printed beside a value as a laboratory prints it. It decides nothing: children,
// pregnant women and the ill have other ranges, and of a child only what holds for it is shown.

/// Ends are in the unit's own integers, as the wire has them. `from_age`: whole years from which it holds.
const RANGES = {
  // Target of the British Thoracic Society's guideline on oxygen (2017) for who is not at risk of hypercapnia, and above.
  spo2: { low: 95, high: 100, from_age: 1 },
  // Below it is bradycardia, above tachycardia, of an adult.
  pulse_rate: { low: 60, high: 100, from_age: 18 },
  // Office pressure: HAS, "Prise en charge de l'HTA de l'adulte", 2016: 140/90 and above is high.
  systolic: { low: 90, high: 139, from_age: 18 },
  diastolic: { low: 60, high: 89, from_age: 18 },
  // Fever from 38.0 °C.
  temperature: { low: 3600, high: 3799, from_age: 1 },
  // Fasting; HAS: diabetes from 1.26 g/L, hypoglycaemia below 0.70.
  glucose_mass: { low: 70, high: 109, from_age: 1, words: "à jeun" },
  glucose_moles: { low: 39, high: 60, from_age: 1, words: "à jeun" },
};

/// The range of a quantity at an age, or nothing.
export function rangeOf(quantity, age) {
  const range = RANGES[quantity];
  return range && age !== null && age >= range.from_age ? range : null;
}

/// -1 below, 1 above, 0 within or unknown.
export function placeOf(figure, age) {
  const range = rangeOf(figure.quantity, age);
  return !range ? 0 : figure.value < range.low ? -1 : figure.value > range.high ? 1 : 0;
}

// Numbers and units as people read them. Nothing here makes HTML: texts go in as textContent.

const MINUS = "\u2212";
const RAISED = { "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074" };

/** "kg m-2 yr-1" as kg m⁻² yr⁻¹; "1" is no unit. */
export function unitWords(unit) {
  if (unit === "1") return "";
  return unit.replace(/([A-Za-z])(-?\d)/g, (_, letter, power) =>
    letter + [...power].map((each) => RAISED[each] ?? each).join(""));
}

const GAP = "\u00a0";

/** A number with some decimals, tens and hundreds where negative; thousands are parted. */
function rounded(value, places) {
  const step = 10 ** Math.max(0, -places);
  const found = Math.round(Math.abs(value) / step) * step;
  const size = places < 0 ? found : Math.abs(value);
  const digits = Math.min(12, Math.max(0, places));
  const text = size.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** Place of the n-th digit of a number that counts. */
const placeOf = (value, n) => n - 1 - Math.floor(Math.log10(Math.abs(value)));

/** A number of four significant digits, by a power of ten where it is very large or small. */
export function plain(value) {
  if (value === null || !Number.isFinite(value)) return "not measured";
  if (value === 0) return "0";
  const places = placeOf(value, 4);
  if (places > 8 || places < -6) return value.toExponential(2).replaceAll("-", MINUS);
  return rounded(value, Math.max(0, places));
}

/** Value \u00b1 one standard deviation, both to the second digit of the deviation. */
export function withSigma(value, sigma) {
  if (value === null || !Number.isFinite(value)) return "not measured";
  if (sigma === null || !Number.isFinite(sigma) || sigma <= 0) return plain(value);
  const places = placeOf(sigma, 2);
  return `${rounded(value, places)}${GAP}\u00b1${GAP}${rounded(sigma, places)}`;
}

/** Latitude and longitude in degrees, hemispheres by letter. */
export function whereWords([longitude, latitude]) {
  const south = `${Math.abs(latitude).toFixed(2)}\u00b0 ${latitude < 0 ? "S" : "N"}`;
  return `${south}, ${Math.abs(longitude).toFixed(2)}\u00b0 ${longitude < 0 ? "W" : "E"}`;
}

export const spaced = (name) => name.replaceAll("_", " ");

/** An element with text, attributes and children. */
export function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

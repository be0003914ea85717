// Numbers and units as people read them. Nothing here makes HTML: texts go in as textContent.

const MINUS = "\u2212";
const RAISED = { "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074" };

/** "kg m-2 yr-1" as kg m⁻² yr⁻¹; "1" is no unit. */
export function unitWords(unit) {
  if (unit === "1") return "";
  return unit.replace(/([A-Za-z])(-?\d)/g, (_, letter, power) =>
    letter + [...power].map((each) => RAISED[each] ?? each).join(""));
}

const signed = (text) => text.replace("-", MINUS);

/** Digits after the point so that a standard deviation has two that count. */
function places(sigma) {
  return Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(sigma))));
}

/** A number of four significant digits, without a power of ten where it can be. */
export function plain(value) {
  if (!Number.isFinite(value)) return "not measured";
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  return size < -4 || size > 6
    ? signed(value.toExponential(2))
    : signed(value.toFixed(Math.min(6, Math.max(0, 3 - size))));
}

/** Value ± one standard deviation, both to the second digit of the deviation. */
export function withSigma(value, sigma) {
  if (value === null || !Number.isFinite(value)) return "not measured";
  if (sigma === null || !Number.isFinite(sigma) || sigma <= 0) return plain(value);
  const digits = places(sigma);
  return `${signed(value.toFixed(digits))} \u00b1 ${sigma.toFixed(digits)}`;
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

// Legends with units: what the colours of a layer mean.
import { placing, rampOf, ticksOf } from "./colours.js";
import { element, unitWords } from "./words.js";

const said = (value) => {
  const text = Math.abs(value) >= 1 || value === 0 ? String(value) : value.toPrecision(2);
  return text.replace("-", "\u2212");
};

function bar(layer, scene) {
  const ramp = rampOf(scene.ramps[layer.ramp]);
  const count = ramp.length / 3;
  const canvas = element("canvas", { width: count, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const image = context.createImageData(count, 1);
  for (let n = 0; n < count; n += 1) image.data.set([...ramp.subarray(3 * n, 3 * n + 3), 255], 4 * n);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The colours at the ends are those of all that lies beyond; no deviation is below zero. */
function beyond({ low, high }, value) {
  if (value === high) return "\u2265 ";
  return value === low && low !== 0 ? "\u2264 " : "";
}

function ticks(layer) {
  const place = placing(layer.scale);
  const made = element("div", { class: "ticks" });
  const values = ticksOf(layer.scale);
  const tight = (n) => n > 0 && n < values.length - 1 && place(values.at(-1)) - place(values[n]) < 0.2;
  for (const value of values.filter((_, n) => !tight(n) || values[n] === 0)) {
    const tick = element("span", { text: `${beyond(layer.scale, value)}${said(value)}` });
    tick.style.left = `${100 * place(value)}%`;
    made.append(tick);
  }
  return made;
}

function swatch(colour, words) {
  const made = element("i", { "aria-hidden": "true" });
  made.style.background = colour;
  return element("li", {}, made, words);
}

/** The legend of one layer at one step. */
export function legendOf(layer, step, scene, side) {
  const unit = layer.unit ? ` [${unitWords(layer.unit)}]` : "";
  const made = element("div", { class: "key", "data-side": side });
  made.append(element("p", { text: `${layer.group}, ${layer.title}${unit}; ${step.label}` }));
  const codes = element("ul", { class: "codes" });
  if (layer.codes.length) {
    const words = new Map(layer.codes.map((code) => [code.words, code.colour]));
    for (const [text, colour] of words) codes.append(swatch(colour, text));
    codes.append(element("li", { text: "clear: outside the shelf, or not known" }));
  } else {
    made.append(bar(layer, scene), ticks(layer));
    codes.append(swatch(scene.missing, "not measured"));
    if (layer.note) codes.append(element("li", { text: layer.note }));
  }
  made.append(codes);
  return made;
}

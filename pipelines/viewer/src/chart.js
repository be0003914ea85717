// Curves with bands of one standard deviation; nothing is drawn across a gap.
import { element, unitWords } from "./words.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 380;
const HEIGHT = 210;
const EDGE = { left: 46, right: 8, top: 8, bottom: 24 };

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Round steps of an axis: about `count` of them. */
function stepsOf(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) found.push(n * step);
  return { step, values: found };
}

/** Runs of points without a gap between them. */
export function runsOf({ value, breaks }) {
  const starts = new Set([0, ...breaks]);
  const runs = [];
  value.forEach((each, n) => {
    if (starts.has(n) || !runs.length || each === null) runs.push([]);
    if (each !== null) runs.at(-1).push(n);
  });
  return runs.filter((run) => run.length);
}

function reach(curves) {
  const t = curves.flatMap((curve) => curve.t);
  const ends = curves.flatMap(({ value, sigma }) =>
    value.flatMap((each, n) => (each === null ? [] : [each - (sigma[n] ?? 0), each + (sigma[n] ?? 0)])));
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = 0.04 * (high - low || 1);
  const [first, last] = [Math.min(...t), Math.max(...t)];
  const beside = first === last ? 0.5 : 0.01 * (last - first);
  return { t: [first - beside, last + beside], y: [low - room, high + room] };
}

function frame(svg, x, y, range) {
  const years = stepsOf(...range.t, 6);
  for (const value of years.values.filter((each) => Number.isInteger(each) || years.step < 1)) {
    svg.append(
      drawn("line", { x1: x(value), x2: x(value), y1: EDGE.top, y2: HEIGHT - EDGE.bottom, stroke: "#e3e7ea" }),
      label(x(value), HEIGHT - 8, "middle", Number(value.toFixed(2)).toString()),
    );
  }
  for (const value of stepsOf(...range.y, 5).values) {
    const zero = Math.abs(value) < 1e-12;
    svg.append(
      drawn("line", {
        x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value), stroke: zero ? "#8a949e" : "#e3e7ea",
      }),
      label(EDGE.left - 5, y(value) + 4, "end", Number(value.toPrecision(6)).toString().replace("-", "\u2212")),
    );
  }
}

function label(x, y, anchor, text) {
  const made = drawn("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

/** Dashes of a curve; a rate has some always, those of its method if that has its own. */
export const dashOf = (curve, style) => (curve.kind === "rate" ? style.dash || "5 4" : style.dash);

function curveParts(curve, x, y, style) {
  const parts = [];
  for (const run of runsOf(curve)) {
    const band = run.filter((n) => curve.sigma[n] !== null);
    const side = (sign, order) =>
      order.map((n) => `${x(curve.t[n]).toFixed(1)},${y(curve.value[n] + sign * curve.sigma[n]).toFixed(1)}`);
    if (band.length > 1) {
      const points = [...side(1, band), ...side(-1, band.toReversed())].join(" ");
      parts.push(drawn("polygon", { points, fill: style.colour, "fill-opacity": 0.18, class: "band" }));
    } else if (band.length === 1) {
      const [top, bottom] = [side(1, band), side(-1, band)].map(([text]) => text.split(","));
      parts.push(drawn("line", {
        x1: top[0], y1: top[1], x2: bottom[0], y2: bottom[1], stroke: style.colour, class: "band",
      }));
    }
    const points = run.map((n) => `${x(curve.t[n]).toFixed(1)},${y(curve.value[n]).toFixed(1)}`).join(" ");
    const dash = dashOf(curve, style);
    parts.push(drawn("polyline", {
      points, fill: "none", stroke: style.colour, "stroke-width": 1.6, "stroke-dasharray": dash, class: "curve",
    }));
    if (run.length === 1 || curve.t.length < 25) {
      parts.push(...run.map((n) =>
        drawn("circle", { cx: x(curve.t[n]), cy: y(curve.value[n]), r: curve.kind === "rate" ? 0 : 2.4, fill: style.colour })));
    }
  }
  return drawn("g", { "data-method": curve.method }, ...parts);
}

function namesOf(curves, styles) {
  const made = element("ul", { class: "names" });
  for (const curve of curves) {
    const style = styles[curve.method];
    const dash = dashOf(curve, style);
    const line = drawn("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" },
      drawn("line", { x1: 0, x2: 28, y1: 5, y2: 5, stroke: style.colour, "stroke-width": 2.5, "stroke-dasharray": dash }));
    made.append(element("li", {}, line, curve.method.replaceAll("_", " ")));
  }
  return made;
}

/** A figure of curves of one unit: [{method, kind, t, value, sigma, breaks, unit}]. */
export function chartOf(curves, { styles, title, caption }) {
  const range = reach(curves);
  const scaled = ([low, high], from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
  const x = scaled(range.t, EDGE.left, WIDTH - EDGE.right);
  const y = scaled(range.y, HEIGHT - EDGE.bottom, EDGE.top);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  frame(svg, x, y, range);
  for (const curve of curves) svg.append(curveParts(curve, x, y, styles[curve.method]));
  const unit = unitWords(curves[0].unit);
  return element("figure", { class: "chart" },
    element("p", { class: "small", text: unit ? `${title} [${unit}]` : title }),
    svg, namesOf(curves, styles), element("figcaption", { text: caption }));
}

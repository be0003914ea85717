// What is told of a region: its curves, and its numbers by method.
import { chartOf } from "./chart.js";
import { element, plain, spaced, unitWords, withSigma } from "./words.js";

const MASS = "Gt";
const CLOSED = 2; // standard deviations within which a difference is none

function chartsOf(region, told) {
  const curves = region.curves.map((curve) => ({ ...curve, t: told.times[curve.times] }));
  const units = [...new Set(curves.map((curve) => curve.unit))];
  return units.map((unit) =>
    chartOf(curves.filter((curve) => curve.unit === unit), {
      styles: told.methods,
      title: unit === MASS ? "Mass" : "Damaged part of the shelf",
      caption: unit === MASS ? told.level : "Bars and bands are one standard deviation.",
    }));
}

/** What a number is: its quantity, its method where that is not the product, its unit. */
function wordsOf(number) {
  const unit = unitWords(number.unit);
  const method = number.method === number.of ? "" : `, ${spaced(number.method)}`;
  return `${spaced(number.quantity)}${method}${unit ? ` [${unit}]` : ""}`;
}

function rowOf(number) {
  const cell = element("td", { text: withSigma(number.value, number.sigma), class: "number" });
  for (const key of ["of", "method", "quantity", "from", "to"]) cell.dataset[key] = number[key];
  if (number.note) cell.title = number.note;
  const period = [number.from === number.to ? number.from : `${number.from} to ${number.to}`];
  const [, z] = /(?:^|;)z=([-\d.]+)/.exec(number.note) ?? [];
  if (number.quantity === "closure" && z) {
    period.push(`${plain(Number(z))} sigma, ${Math.abs(Number(z)) <= CLOSED ? "closed" : "not closed"}`);
  }
  const what = element("th", { text: wordsOf(number), scope: "row" });
  what.append(element("span", { class: "when", text: period.join("; ") }));
  return element("tr", {}, what, cell);
}

function rowsOf(product, numbers) {
  const address = `${product.url.replace(/\/$/, "")}/${numbers[0].table}`;
  const link = element("a", { href: address, text: numbers[0].table.split("/").at(-1) });
  const head = element("th", { colspan: "2", scope: "rowgroup", text: `${product.heading}, ` });
  head.append(link);
  return element("tbody", {}, element("tr", { class: "of" }, head), ...numbers.map(rowOf));
}

function tableOf(region, products) {
  const first = (product) => (product.product === "comparison" ? 0 : 1); // one mask, one period
  const ordered = products.toSorted((a, b) => first(a) - first(b));
  const bodies = ordered.flatMap((product) => {
    const numbers = region.numbers.filter((number) => number.of === product.name);
    return numbers.length ? [rowsOf(product, numbers)] : [];
  });
  if (!bodies.length) return null;
  const heads = element("tr", {}, element("th", { text: "Quantity", scope: "col" }),
    element("th", { text: "Value \u00b1 one sigma", scope: "col", class: "number" }));
  return element("table", {}, element("caption", { text: "Numbers by method" }),
    element("thead", {}, heads), ...bodies);
}

/** Everything that is told of a region, as one fragment. */
export function detailsOf(region, told, scene) {
  const made = document.createDocumentFragment();
  made.append(...chartsOf(region, told));
  const table = tableOf(region, scene.products);
  if (table) made.append(table);
  if (!made.children.length) {
    made.append(element("p", { text: "No product of this page has numbers of it." }));
  }
  return made;
}

/** Options of the list of regions, in groups. */
export function optionsOf(told) {
  const groups = new Map();
  for (const [id, region] of Object.entries(told.regions)) {
    const shelf = region.curves.every((curve) => curve.unit !== MASS) && region.numbers.some((n) => n.quantity.startsWith("damage"));
    const total = !shelf && !/^\d+$/.test(region.region);
    const kind = shelf ? "Ice shelves" : total ? "Totals and groups" : "Basins";
    const name = `${kind} (${region.set})`;
    if (!groups.has(name)) groups.set(name, element("optgroup", { label: name }));
    const known = total || region.title.includes(region.group);
    const more = known ? "" : `, ${region.group}`;
    const text = region.title === region.region ? region.region : `${region.title}`;
    groups.get(name).append(element("option", { value: id, text: text + more }));
  }
  return [element("option", { value: "", text: "none chosen" }), ...groups.values()];
}

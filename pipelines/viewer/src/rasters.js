// One side of the map: the layer and step that it shows, and what it says at a place.
import ImageLayer from "ol/layer/Image.js";
import LayerGroup from "ol/layer/Group.js";
import TileLayer from "ol/layer/Tile.js";
import ImageSource from "ol/source/Image.js";
import { getRenderPixel } from "ol/render.js";
import { codeAt, sourceOf } from "./cogs.js";
import { painted, painter } from "./colours.js";
import { cellAt, fieldOf } from "./fields.js";

const addressOf = (layer, piece) =>
  `${layer.url.replace(/\/$/, "")}/${piece.path.split("/").map(encodeURIComponent).join("/")}`;

export class Side {
  /** `part` returns the part of the map's width that the side has, as [from, to] of 0 to 1. */
  constructor(scene, projection, part) {
    this.scene = scene;
    this.projection = projection;
    this.part = part;
    this.group = new LayerGroup();
    this.layer = null;
    this.step = null;
    this.turn = 0;
  }

  /** Show a step of a layer, or nothing; resolves once its pieces are drawn or being fetched. */
  async show(layer, n) {
    this.turn += 1;
    const mine = this.turn;
    const step = layer ? layer.steps[n] : null;
    const paint = layer ? painter(layer, this.scene) : null;
    const made = step
      ? await Promise.all(step.pieces.map((piece) => this.made(layer, piece, paint)))
      : [];
    if (mine !== this.turn) return false; // something else was asked for meanwhile
    this.layer = layer;
    this.step = step;
    for (const each of made) this.clip(each);
    this.group.getLayers().clear();
    this.group.getLayers().extend(made);
    return true;
  }

  async made(layer, piece, paint) {
    if (layer.kind === "geotiff") {
      const source = await sourceOf(addressOf(layer, piece), piece, paint, this.projection);
      return new TileLayer({ source, extent: piece.extent });
    }
    const field = await fieldOf(layer.url, piece);
    const [west, south, east, north] = piece.extent;
    const image = painted(field, paint);
    const resolution = [(east - west) / image.width, (north - south) / image.height];
    const source = new ImageSource({
      projection: this.projection,
      interpolate: false,
      loader: async () => ({ image, extent: piece.extent, resolution, pixelRatio: 1 }),
    });
    return new ImageLayer({ source, extent: piece.extent });
  }

  /** Draw a layer within the part of the side only. */
  clip(layer) {
    layer.on("prerender", (event) => {
      const [from, to] = this.part();
      const [width, height] = event.frameState.size;
      const corners = [[from * width, 0], [to * width, 0], [to * width, height], [from * width, height]];
      const context = event.context;
      context.save();
      context.beginPath();
      for (const corner of corners) context.lineTo(...getRenderPixel(event, corner));
      context.closePath();
      context.clip();
    });
    layer.on("postrender", (event) => event.context.restore());
  }

  /** What is shown at a place: {layer, step, found}; null where the side shows nothing. */
  async at(place) {
    const { layer, step } = this; // before anything is awaited, while which both may change
    if (!layer) return null;
    try {
      return { layer, step, found: await foundAt(layer, step, place, this.scene) };
    } catch {
      return { layer, step, found: { value: null, sigma: null, words: "cannot be read" } };
    }
  }
}

/** What a step holds at a place: {value, sigma, words}; null outside all pieces. */
async function foundAt(layer, step, place, scene) {
  const [x, y] = place;
  const n = step.pieces.findIndex(({ extent: [west, south, east, north] }) =>
    x >= west && x < east && y > south && y <= north);
  if (n < 0) return null;
  const piece = step.pieces[n];
  return layer.kind === "geotiff"
    ? coded(layer, await codeAt(addressOf(layer, piece), piece, place), scene)
    : numbered(layer, n, piece, place, scene);
}

async function numbered(layer, n, piece, place, scene) {
  const value = cellAt(await fieldOf(layer.url, piece), place);
  if (layer.codes.length) return coded(layer, value, scene);
  const of = layer.sigma[n];
  const sigma = of ? cellAt(await fieldOf(layer.url, of), place) : null;
  return { value, sigma };
}

function coded(layer, value, scene) {
  const found = layer.codes.find((code) => code.value === value);
  const unknown = value === null || value === scene.nothing;
  return { value, sigma: null, words: found?.words ?? (unknown ? "outside, or not known" : `code ${value}`) };
}

// Cloud-optimised GeoTIFFs, read by ranges: directories first, then tiles of the overview in view.
import { fromUrl } from "geotiff";
import ImageTile from "ol/source/ImageTile.js";
import TileGrid from "ol/tilegrid/TileGrid.js";
import { painted } from "./colours.js";

const MOST_TILES = 64;
const opened = new Map();
const tiles = new Map();

/** The images of a file, coarsest first. */
function imagesOf(url) {
  if (!opened.has(url)) {
    const reading = fromUrl(url, { allowFullFile: true }).then(async (file) => {
      const count = await file.getImageCount();
      const images = await Promise.all([...Array(count).keys()].map((n) => file.getImage(n)));
      return images.sort((a, b) => a.getWidth() - b.getWidth());
    });
    reading.catch(() => opened.delete(url));
    opened.set(url, reading);
  }
  return opened.get(url);
}

/** Codes of one tile of one image; tiles at the right and lower edge are smaller. */
function tileOf(url, images, z, x, y) {
  const key = `${url} ${z} ${x} ${y}`;
  if (!tiles.has(key)) {
    if (tiles.size >= MOST_TILES) tiles.delete(tiles.keys().next().value);
    const image = images[z];
    const side = image.getTileWidth();
    const window = [
      x * side,
      y * side,
      Math.min(image.getWidth(), (x + 1) * side),
      Math.min(image.getHeight(), (y + 1) * side),
    ];
    const reading = image.readRasters({ window, samples: [0] }).then(([values]) => ({
      values,
      columns: window[2] - window[0],
      rows: window[3] - window[1],
    }));
    reading.catch(() => tiles.delete(key));
    tiles.set(key, reading);
  }
  return tiles.get(key);
}

/** A source of painted tiles for a file with an extent. */
export async function sourceOf(url, piece, paint, projection) {
  const images = await imagesOf(url);
  const [west, , east] = piece.extent;
  const sides = images.map((image) => image.getTileWidth());
  const grid = new TileGrid({
    extent: piece.extent,
    origin: [piece.extent[0], piece.extent[3]],
    resolutions: images.map((image) => (east - west) / image.getWidth()),
    tileSizes: sides,
  });
  return new ImageTile({
    projection,
    tileGrid: grid,
    interpolate: false,
    transition: 0,
    wrapX: false,
    loader: async (z, x, y) => {
      const tile = await tileOf(url, images, z, x, y);
      return padded(painted({ ...tile, upward: false }, paint), sides[z]);
    },
  });
}

/** A tile of full size, clear where the image has ended. */
function padded(canvas, side) {
  if (canvas.width === side && canvas.height === side) return canvas;
  const whole = document.createElement("canvas");
  whole.width = side;
  whole.height = side;
  whole.getContext("2d").drawImage(canvas, 0, 0);
  return whole;
}

/** The code at a place of EPSG:3031, from the finest image; null outside. */
export async function codeAt(url, piece, [x, y]) {
  const [west, south, east, north] = piece.extent;
  if (x < west || x >= east || y <= south || y > north) return null;
  const images = await imagesOf(url);
  const z = images.length - 1;
  const side = images[z].getTileWidth();
  const column = Math.floor(((x - west) / (east - west)) * images[z].getWidth());
  const row = Math.floor(((north - y) / (north - south)) * images[z].getHeight());
  const tile = await tileOf(url, images, z, Math.floor(column / side), Math.floor(row / side));
  return tile.values[(row % side) * tile.columns + (column % side)];
}

// Arrays of product.zarr, read chunk by chunk.
import { decompress } from "fzstd";
import { get, open, registry, root, slice } from "zarrita";

// Zstandard in plain JavaScript: WebAssembly would need a weaker policy of the page.
registry.set("zstd", async () => ({
  fromConfig: () => ({ kind: "bytes_to_bytes", decode: (bytes) => decompress(bytes), encode: unwritten }),
}));

function unwritten() {
  throw new Error("the page reads only");
}

const MOST_KEPT = 256 * 2 ** 20; // bytes of arrays that are kept for going back
const kept = new Map();

/** The bytes that a Range header asks for, out of the whole file: servers may send that instead. */
export function partOf(bytes, range) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range);
  return first === "" ? bytes.slice(-Number(last)) : bytes.slice(Number(first), Number(last) + 1);
}

/** Objects of a product's plain copy; chunks that are known to be absent are not asked for. */
function storeOf(url, piece) {
  const absent = new Set(piece.absent.map((key) => `/${piece.path}/${key}`));
  const asked = async (key, options = {}, range = null) => {
    if (absent.has(key)) return undefined;
    const address = `${url}/product.zarr${key.split("/").map(encodeURIComponent).join("/")}`;
    const headers = range ? { Range: range } : {};
    const answer = await fetch(address, { signal: options.signal, headers });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return range && answer.status !== 206 ? partOf(bytes, range) : bytes;
  };
  return {
    get: asked,
    // Chunks of a shard, and the index at its end.
    getRange: (key, range, options) =>
      asked(key, options, "suffixLength" in range
        ? `bytes=-${range.suffixLength}`
        : `bytes=${range.offset}-${range.offset + range.length - 1}`),
  };
}

async function read(url, piece) {
  const array = await open.v3(root(storeOf(url, piece)).resolve(piece.path), { kind: "array" });
  const whole = [slice(null), slice(null)];
  const at = async (index) => (await get(array, index === null ? whole : [index, ...whole])).data;
  const [values, base] = await Promise.all([
    at(piece.index),
    piece.minus === null ? null : at(piece.minus),
  ]);
  const found = base === null ? values : Float32Array.from(values, (value, i) => value - base[i]);
  const [rows, columns] = piece.shape;
  return { values: found, rows, columns, upward: piece.upward, extent: piece.extent };
}

/** The array of a piece: values, rows, columns, whether y rises, extent. Read once. */
export function fieldOf(url, piece) {
  const key = [url, piece.path, piece.index, piece.minus].join(" ");
  const before = kept.get(key);
  if (before) {
    kept.delete(key); // back to the end: the last used goes last
    kept.set(key, before);
    return before.promise;
  }
  const promise = read(url, piece);
  const entry = { promise, bytes: 0, field: null };
  kept.set(key, entry);
  promise.then(
    (field) => {
      entry.field = field;
      entry.bytes = field.values.byteLength;
      forget();
    },
    () => kept.delete(key),
  );
  return promise;
}

function forget() {
  let held = [...kept.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  for (const [key, entry] of kept) {
    if (held <= MOST_KEPT) return;
    kept.delete(key);
    held -= entry.bytes;
  }
}

/** The cell of a field at a place of EPSG:3031; NaN where there is none. */
export function cellAt({ values, rows, columns, upward, extent }, [x, y]) {
  const [west, south, east, north] = extent;
  const column = Math.floor(((x - west) / (east - west)) * columns);
  const down = Math.floor(((north - y) / (north - south)) * rows);
  if (column < 0 || column >= columns || down < 0 || down >= rows) return Number.NaN;
  return values[(upward ? rows - 1 - down : down) * columns + column];
}

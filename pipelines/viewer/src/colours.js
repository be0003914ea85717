// Values to colours: the ramps and scales that the figures have.

/** Colours of a ramp, three bytes each, from its hexadecimal text. */
export function rampOf(text) {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Place of a value in a symmetric logarithmic scale, as matplotlib's SymLogNorm has it. */
function symlog(value, { linear, linscale }) {
  const straight = linscale / (1 - 1 / 10);
  const size = Math.abs(value);
  if (size <= linear) return value * straight;
  return Math.sign(value) * linear * (straight + Math.log10(size / linear));
}

/** A function from value to place: 0 for the first colour, 1 for the last. */
export function placing(scale) {
  const turn = {
    linear: (value) => value,
    log: (value) => Math.log10(Math.max(value, 1e-30)),
    symlog: (value) => symlog(value, scale),
  }[scale.kind];
  const low = turn(scale.low);
  const span = turn(scale.high) - low;
  return (value) => (turn(value) - low) / span;
}

/** Values that a legend names. */
export function ticksOf(scale) {
  const { kind, low, high, linear } = scale;
  if (kind === "linear") return low < 0 ? [low, low / 2, 0, high / 2, high] : [0, high / 2, high];
  const powers = [];
  for (let power = kind === "log" ? low : linear; power < high * 0.999; power *= 10) powers.push(power);
  const ends = [...powers, high];
  return kind === "log" ? ends : [...ends.map((end) => -end).reverse(), 0, ...ends];
}

export function parts(colour) {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** A function that paints one value as four bytes at an offset of an array. */
export function painter(layer, scene) {
  if (layer.codes.length) return codePainter(layer.codes);
  const ramp = rampOf(scene.ramps[layer.ramp]);
  const place = placing(layer.scale);
  const missing = parts(scene.missing);
  const last = ramp.length / 3 - 1;
  return (value, bytes, at) => {
    if (Number.isNaN(value)) {
      bytes.set(missing, at);
    } else {
      const n = 3 * Math.min(last, Math.max(0, Math.floor(place(value) * (last + 1))));
      bytes[at] = ramp[n];
      bytes[at + 1] = ramp[n + 1];
      bytes[at + 2] = ramp[n + 2];
    }
    bytes[at + 3] = 255;
  };
}

/** Codes without a colour stay clear: outside, or not known. */
function codePainter(codes) {
  const table = new Map(codes.map((code) => [code.value, [...parts(code.colour), 255]]));
  return (value, bytes, at) => {
    const found = table.get(value);
    if (found) bytes.set(found, at);
  };
}

/** A canvas of rows of values, north up. */
export function painted({ values, rows, columns, upward }, paint) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    const from = (upward ? rows - 1 - row : row) * columns;
    for (let column = 0; column < columns; column += 1) {
      paint(values[from + column], image.data, 4 * (row * columns + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

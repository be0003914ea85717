// Bundle the viewer into a folder: `node build.mjs dist`. Equal sources and modules give equal bytes.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const to = resolve(process.argv[2] ?? join(here, "dist"));

// Codecs that our products never use; they would add WebAssembly, which the page's policy forbids.
const UNUSED = /^(numcodecs\/.*|\.\/(lerc|zstd|jpeg|webimage)\.js|lerc|zstddec|@ungap\/.*)$/;

const withoutUnused = {
  name: "without-unused-codecs",
  setup(bundler) {
    bundler.onResolve({ filter: UNUSED }, ({ path, importer }) =>
      /zarrita|geotiff/.test(importer) ? { path, namespace: "unused" } : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: "unused" }, () => ({
      contents: "export default class { static fromConfig() { throw new Error('codec not bundled'); } }",
    }));
  },
};

async function licences(inputs) {
  const found = new Set();
  for (const input of Object.keys(inputs)) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) found.add(match[1]);
  }
  const texts = [];
  for (const name of [...found].sort()) {
    const folder = join(here, "node_modules", name);
    const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? (await readFile(join(folder, file), "utf8")).trim() : "(no text of its own)";
    texts.push(`${name} ${about.version}: ${about.license}\n\n${text}\n`);
  }
  return texts.join(`\n${"-".repeat(72)}\n\n`);
}

await mkdir(to, { recursive: true });
const made = await build({
  absWorkingDir: here,
  entryPoints: { viewer: "src/main.js" },
  outdir: to,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  plugins: [withoutUnused],
});
await writeFile(join(to, "LICENSES.txt"), await licences(made.metafile.inputs));
for (const name of ["index.html", "icon.svg"]) await copyFile(join(here, "src", name), join(to, name));

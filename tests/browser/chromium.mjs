// Chromium on a leash: one JSON command a line on standard input, one JSON answer a line.
// {"call": "keyboard.press", "with": ["Enter"]} calls that method of Playwright's page.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, chromiumPath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");

// Without the last five Chromium looks for hosts of its own; without the second, tests as root fail.
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const browser = await chromium.launch({ executablePath: chromiumPath, args: FLAGS });
let page;
let seen;

async function opened(options) {
  await page?.context().close();
  seen = { errors: [], requests: [] };
  page = await (await browser.newContext(options)).newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.errors.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => seen.errors.push(`uncaught: ${error.message}`));
  page.on("requestfailed", (request) => seen.errors.push(`failed: ${request.url()}`));
  page.on("request", (request) =>
    seen.requests.push({ url: request.url(), method: request.method(), range: request.headers().range ?? null }));
}

async function answered({ call, with: given = [] }) {
  if (call === "open") return opened(given[0] ?? {});
  if (call === "seen") return seen;
  const names = call.split(".");
  const method = names.pop();
  const of = names.reduce((object, name) => object[name], page);
  const found = await of[method](...given);
  // Handles and responses are of no use to the other side.
  return ["string", "number", "boolean"].includes(typeof found) || Array.isArray(found) || found?.constructor === Object
    ? found
    : null;
}

process.stdout.write('{"ready":true}\n');
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { found: (await answered(JSON.parse(line))) ?? null };
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();

// Write package-lock.json anew without hosts: npm ci needs the digests only, whatever the registry.
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";

execFileSync("npm", ["install", "--package-lock-only"], { stdio: "inherit" });
const lock = JSON.parse(await readFile("package-lock.json", "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  delete entry.resolved;
}
await writeFile("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);

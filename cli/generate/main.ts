/** `npm run generate`: writes what is made from the schemas, and says what changed. @module */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "../../lib/platform/package.js";
import { generatedFiles } from "./files.js";

const root = packageRoot();
for (const [name, text] of generatedFiles(root)) {
  const path = join(root, name);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  process.stdout.write(`wrote ${name}\n`);
}

/**
 * The bare Node program that `startup` compares with: it reads and parses every file of a folder and says that it has.
 *
 * usage: node baseline-reader.js FOLDER INTO
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder = ".", into = "/dev/stdout"] = process.argv.slice(2);
const specs = new Map<string, unknown>();
for (const name of readdirSync(folder)) specs.set(name, JSON.parse(readFileSync(join(folder, name), "utf8")));
writeFileSync(into, `${specs.size}\n`);

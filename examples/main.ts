/** Runs an example by its number: `npm run example -- 1`. Exits 0 only if every outcome was as it should be. @module */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Example } from "./shared/example.js";
import { runExample } from "./shared/run.js";

const HELP = `Usage: npm run example -- <number> [--remove]

Runs one of the examples below examples/, each in a new folder, in less than a minute:

${names()
  .map((name) => `  ${name}`)
  .join("\n")}

  --remove   remove the folder at the end, if every outcome was as expected; else it stays for a look
  --help     print this
`;

/** The folders `<number>-<what>`, each with an `example.ts` that exports `example`. */
function names(): string[] {
  return readdirSync(fileURLToPath(new URL(".", import.meta.url)))
    .filter((name) => /^\d+-/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { remove: { type: "boolean" }, help: { type: "boolean" } },
  });
  const name = names().find((each) => each === positionals[0] || each.startsWith(`${positionals[0]}-`));
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 64;
  }
  const { example } = (await import(`./${name}/example.js`)) as { readonly example: Example };
  return (await runExample(example, { remove: values.remove === true })) ? 0 : 1;
}

// A story that was broken off waits on; nothing of it is wanted any more.
process.exit(await main());

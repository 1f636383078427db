/**
 * Everything that is generated from the schemas: `config/schemas/` and the marked parts of the pages in `docs/`.
 *
 * A page marks a part with `<!-- generated: what name -->` and `<!-- end -->`; what stands between is written here, and the
 * rest is its author's.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RECORDS } from "../../lib/schema/described.js";
import { type JsonSchema, jsonSchemaOf } from "../../lib/schema/json-schema.js";
import { fixConfigFiles, fixPages } from "./fix-pages.js";
import { POLICIES } from "./policies.js";
import { errorTable, eventTables, fieldTable, invariantTables, policyTable, remedyTable, wordTable } from "./tables.js";

/** The files as they should be, by path below the package's root. */
export function generatedFiles(root: string): Map<string, string> {
  return new Map([...schemaFiles(), ...fixConfigFiles(), ...fixPages(), ...pages(root)]);
}

function schemas(): Map<string, JsonSchema> {
  const records = RECORDS.map((record) => [record.name, jsonSchemaOf(record.schema, record)] as const);
  return new Map([...records, ...POLICIES.map((policy) => [policy.name, policy.schema] as const)]);
}

function schemaFiles(): [string, string][] {
  return [...schemas()].map(([name, schema]) => [
    `config/schemas/${name}.schema.json`,
    `${JSON.stringify(schema, null, 2)}\n`,
  ]);
}

const MARK = /^(<!-- generated: ([a-z-]+)(?: ([a-z-]+))? -->\n)[\s\S]*?^(<!-- end -->)$/gm;

function pages(root: string): [string, string][] {
  return readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .sort()
    .flatMap((name) => {
      const path = join("docs", name);
      const text = readFileSync(join(root, path), "utf8");
      const filled = text.replace(
        MARK,
        (_, begin: string, what: string, which: string | undefined, end: string) =>
          `${begin}${generated(path, what, which)}${end}`,
      );
      return filled.includes("<!-- generated:") ? [[path, filled] as [string, string]] : [];
    });
}

function generated(page: string, what: string, which: string | undefined): string {
  const all = schemas();
  const schema = which === undefined ? undefined : all.get(which);
  if (what === "fields" && schema !== undefined) return fieldTable(schema);
  if (what === "policy" && schema !== undefined) return policyTable(schema);
  if (what === "events") return eventTables();
  if (what === "errors") return errorTable();
  if (what === "remedies") return remedyTable();
  if (what === "invariants") return invariantTables();
  if (what === "words" && which !== undefined) return wordTable(which);
  throw new Error(`Cannot generate "${[what, which].join(" ")}" in ${page}: nothing is made under that name`);
}

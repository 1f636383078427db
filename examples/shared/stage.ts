/** Makes the home in which an example plays: policies with short times, templates, and a place for orders. @module */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "../../lib/platform/files.js";
import { openHome, resolveHome } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";

/** Where everything happens. */
export interface Stage {
  readonly home: string;
  readonly layout: Layout;
  /** A file here, named after a worker, tells it to fail once. */
  readonly ordersDir: string;
  /** For everything that is started: this home and no other, whatever the person's own environment says. */
  readonly env: NodeJS.ProcessEnv;
}

/** Makes an empty home in a new folder below the system's folder for temporary files. */
export function makeStage(name: string): Stage {
  const folder = mkdtempSync(join(tmpdir(), `heald-${name}-`));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error(`Cannot make a home in "${folder}"`);
  openHome(home, { create: true, claimOwnership: false });
  const ordersDir = join(folder, "orders");
  mkdirSync(ordersDir, { mode: 0o750 });
  return { home: folder, layout: new Layout(home), ordersDir, env: environment(folder) };
}

/** Writes files of `config/`, by their names without `.json`. */
export function writePolicies({ layout }: Stage, policies: Readonly<Record<string, unknown>>): void {
  for (const [name, policy] of Object.entries(policies)) writeJson(layout.config(`${name}.json`), policy);
}

/** Writes templates, by the worker's type. */
export function writeTemplates({ layout }: Stage, templates: Readonly<Record<string, unknown>>): void {
  for (const [type, template] of Object.entries(templates)) writeJson(layout.template(type), template);
}

/** Replaces a record as a person would: whole, never half. */
export function writeJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

function environment(home: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(HEALD_|COMMIT_RELAY_HOME$|NODE_OPTIONS$)/.test(name));
  return { ...Object.fromEntries(own), HEALD_HOME: home };
}

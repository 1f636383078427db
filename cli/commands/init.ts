/** `heald init`: makes a home. @module */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createExclusive } from "../../lib/platform/files.js";
import { packageRoot } from "../../lib/platform/package.js";
import { type Home, homeAt, openHome, resolveHome } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";
import type { Call, CommandDefinition } from "../command.js";
import { findHome } from "../home.js";
import { print } from "../screen.js";

export const command: CommandDefinition = {
  summary: "make the folders and the first policies",
  description:
    "Makes coordination/ and agents/logs/ in the home (without --home or HEALD_HOME: here), and a copy of each shipped policy that is not there yet. Changes nothing that is there. auto-fix begins as a dry run.",
  examples: ["heald init --home /srv/fleet", "cd /srv/fleet && heald init"],
  run: init,
};

function init(call: Call): undefined {
  const home = homeToMake(call);
  openHome(home, { create: true, claimOwnership: false });
  const layout = new Layout(home);
  const made = [...copyPolicies(layout), ...copyReadme(layout)];
  print(`home  ${home.home}`);
  for (const path of made) print(`made  ${path}`);
  if (made.length === 0) print("Nothing was missing.");
  print(`next  heald up${call.homeFlag === undefined ? "" : ` --home ${call.homeFlag}`}`);
}

/** Here, if nothing else is named; not where only a directory elsewhere of another name is: no later command would find that home. */
function homeToMake(call: Call): Home {
  if (process.env.HEALD_COORDINATION_DIR) return findHome(call);
  const cwd = resolve(process.cwd());
  return resolveHome(process.env, cwd, call.homeFlag) ?? homeAt(cwd, "cwd", process.env, cwd);
}

/** The shipped policies, as starting points for an editor; what a person wrote stays. */
function copyPolicies(layout: Layout): string[] {
  const shipped = join(packageRoot(), "config");
  const names = readdirSync(shipped).filter((name) => name.endsWith("-policy.json"));
  return names.sort().flatMap((name) => {
    const text = withSchemaPath(readFileSync(join(shipped, name), "utf8"), shipped);
    const path = layout.config(name);
    return createExclusive(path, text) ? [path] : [];
  });
}

/** Editors find the schema from the copy too. */
function withSchemaPath(text: string, shipped: string): string {
  return text.replace(
    /("\$schema":\s*)"\.\/([^"]+)"/,
    (_, key: string, path: string) => key + JSON.stringify(join(shipped, path)),
  );
}

function copyReadme(layout: Layout): string[] {
  const shipped = join(packageRoot(), "coordination", "README.md");
  const path = join(layout.coordination, "README.md");
  return existsSync(shipped) && createExclusive(path, readFileSync(shipped, "utf8")) ? [path] : [];
}

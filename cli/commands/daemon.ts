/** `heald daemon`: one daemon in the foreground, in this very process. @module */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigurationError, NotFound } from "../../lib/errors.js";
import { packageRoot } from "../../lib/platform/package.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import type { Call, CommandDefinition } from "../command.js";
import { textOption } from "../options.js";
import { daemonNamed } from "../running.js";

export const command: CommandDefinition = {
  summary: "run one daemon in the foreground",
  description: `Daemons: ${DAEMONS.join(", ")}. SIGTERM or ^C stops it within a second; workers go on.`,
  arguments: "<name>",
  options: [
    { flags: "--pid-file <file>", description: "write the pid there too" },
    { flags: "--console <form>", description: "what goes to the terminal: pretty (default), json or none" },
  ],
  examples: ["heald daemon heartbeat-monitor --home /srv/fleet", "heald daemon auto-fix --console json | jq .msg"],
  run: runDaemon,
};

async function runDaemon(call: Call): Promise<number | undefined> {
  const name = daemonCalled(call.args[0] as string);
  const main = daemonMain(name);
  const argv: string[] = [];
  if (call.homeFlag !== undefined) argv.push("--home", call.homeFlag);
  for (const [option, flag] of [
    ["pidFile", "--pid-file"],
    ["console", "--console"],
  ] as const) {
    const value = textOption(call.options, option);
    if (value !== undefined) argv.push(flag, value);
  }
  // The module is a program: it reads its arguments from the process and sets the exit code when it ends.
  process.argv.splice(1, Number.POSITIVE_INFINITY, main, ...argv);
  await import(pathToFileURL(main).href);
  return process.exitCode === undefined ? undefined : Number(process.exitCode);
}

/** @throws {NotFound} If there is no such daemon. */
export function daemonCalled(text: string): DaemonName {
  const name = daemonNamed(text);
  if (name === null) throw new NotFound(`No daemon ${JSON.stringify(text)}: there are ${DAEMONS.join(", ")}`);
  return name;
}

/** The compiled program of a daemon. */
export function daemonMain(name: DaemonName): string {
  const main = join(packageRoot(), "dist", "daemons", name, "main.js");
  if (!existsSync(main)) throw new ConfigurationError(`Cannot start ${name}: ${main} is not there; run npm run build`);
  return main;
}

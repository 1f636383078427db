/** The command line of a daemon, and what its `--help` says. Loads next to nothing. @module */
import { parseArgs } from "node:util";
import { UsageError } from "../errors.js";
import { VERSION } from "./version.js";

/** What a daemon says about itself before it is loaded. */
export interface About {
  readonly name: string;
  /** One sentence for `--help`. */
  readonly summary: string;
  readonly policy: { readonly name: string };
}

export interface Flags {
  readonly home: string | undefined;
  readonly pidFile: string | undefined;
  readonly console: "pretty" | "json" | "none";
}

const OPTIONS = {
  home: { type: "string" },
  "pid-file": { type: "string" },
  console: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

/** Null where the help or the version was asked for, and printed. @throws {UsageError} If the command line is wrong. */
export function readFlags(about: About, argv: readonly string[]): Flags | null {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
  try {
    values = parseArgs({ args: [...argv], options: OPTIONS }).values;
  } catch (cause) {
    throw new UsageError(`${cause instanceof Error ? cause.message : String(cause)}; see --help`);
  }
  if (values.help) {
    process.stdout.write(helpOf(about));
    return null;
  }
  if (values.version) {
    process.stdout.write(`heald ${VERSION}\n`);
    return null;
  }
  const console = values.console ?? "pretty";
  if (console !== "pretty" && console !== "json" && console !== "none")
    throw new UsageError(`--console must be pretty, json or none, got "${console}"`);
  return { home: values.home, pidFile: values["pid-file"], console };
}

function helpOf(about: About): string {
  return `Usage: heald daemon ${about.name} [options]
       scripts/daemons/${about.name}-daemon.sh [options]

${about.summary}

Options:
  --home DIR        the home that holds coordination/ (else HEALD_HOME, COMMIT_RELAY_HOME, or the working directory)
  --pid-file FILE   write the pid there as well as to coordination/run/${about.name}.pid
  --console FORM    what goes to the terminal: pretty (default), json or none
  --version         print the version (the script only; else heald --version)
  -h, --help        print this (the script only)

Policy:  coordination/config/${about.policy.name}.json, read again when it changes
Signals: SIGTERM, SIGINT stop within a second; SIGHUP reopens logs and reads the policy again
Exit:    0 stopped, 1 the host lacks something or the lock was lost, 2 wrong usage, 4 refused, 70 broken invariant,
         75 already running, 78 configuration

Example:
  heald daemon ${about.name} --home /srv/fleet --console none
`;
}

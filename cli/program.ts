/** Reads the command line. The door to commander; loads the one subcommand that is called and no other. @module */
import { Command, CommanderError, Option } from "commander";
import { HealdError, systemCode } from "../lib/errors.js";
import type { CommandDefinition, OptionValues } from "./command.js";
import { COMMANDS } from "./commands.js";
import { safe } from "./screen.js";

const EXIT_USAGE = 2;
const EXIT_BROKEN = 70;

const FOOTER = `
Every command takes --home DIR; else HEALD_HOME, COMMIT_RELAY_HOME, or the working directory that holds coordination/.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 70 broken invariant (a defect of heald),
            75 already running, 78 configuration.

Examples:
  heald init --home /srv/fleet && heald up --home /srv/fleet
  heald status
  heald why worker-scan-1`;

/** Runs one command line; returns the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  guardOutput();
  let exitCode = 0;
  const program = frame(new Command("heald"));
  program
    .description("Keeps fleets of workers alive on this host.")
    .option("--home <dir>", "the home that holds coordination/")
    .option("--version", "print the version")
    .commandsGroup("More:")
    .addHelpText("after", FOOTER);
  const called = calledName(argv);
  for (const each of COMMANDS) {
    const command = frame(program.command(each.name)).helpGroup(each.group).summary(each.summary);
    if (each.name !== called) continue;
    define(
      command,
      (await each.load()).command,
      () => program.opts<{ home?: string }>().home,
      (code) => {
        exitCode = code;
      },
    );
  }
  if (argv.includes("--version")) return await printVersion(called);
  if (argv.length === 0) {
    program.outputHelp();
    return EXIT_USAGE;
  }
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    return failed(error);
  }
  return exitCode;
}

/** The version needs package.json, which no other start has to read. */
async function printVersion(called: string | null): Promise<number> {
  if (called !== null) {
    process.stderr.write("heald: --version takes no command\n");
    return EXIT_USAGE;
  }
  const { VERSION } = await import("../lib/runtime/version.js");
  process.stdout.write(`heald ${VERSION}\n`);
  return 0;
}

/** What is common to the program and each of its commands. */
function frame(command: Command): Command {
  return command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .helpOption("-h, --help", "print this")
    .configureOutput({
      outputError: (text, write) => write(`heald: ${safe(text).replace(/^error: /, "")}`),
    });
}

/** The first word that is no option; after `help`, the second. */
function calledName(argv: readonly string[]): string | null {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (word === "--") return null;
    if (word === "--home") index++;
    else if (!word.startsWith("-") && word !== "help") return word;
  }
  return null;
}

function define(
  command: Command,
  definition: CommandDefinition,
  homeFlag: () => string | undefined,
  finish: (code: number) => void,
): void {
  command.description([sentence(definition.summary), definition.description].filter(Boolean).join("\n\n"));
  command.addHelpText("after", `\nExamples:\n${definition.examples.map((line) => `  ${line}`).join("\n")}`);
  if (definition.arguments !== undefined) command.arguments(definition.arguments);
  for (const { flags, description } of definition.options ?? []) command.addOption(new Option(flags, description));
  for (const [verb, own] of Object.entries(definition.verbs ?? {}))
    define(frame(command.command(verb)).summary(own.summary), own, homeFlag, finish);
  const { run: action } = definition;
  if (action === undefined) return;
  command.action(async () => {
    const options = command.opts<OptionValues>();
    finish((await action({ homeFlag: homeFlag(), args: command.args, options })) ?? 0);
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Says what went wrong, once, and with which code the process ends. */
function failed(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof HealdError) return say(message, error.exitCode);
  const isKnown = error instanceof Error && (error.name === "LaunchFailed" || error.name === "EnvironmentRefused");
  if (isKnown || systemCode(error)?.startsWith("E")) return say(message, 1);
  return say(error instanceof Error ? (error.stack ?? message) : message, EXIT_BROKEN);
}

function say(message: string, code: number): number {
  process.stderr.write(`heald: ${safe(message)}\n`);
  return code;
}

/** A reader that went away (`heald events | head`) ends the output, and that is no failure. */
function guardOutput(): void {
  process.stdout.on("error", (error) => {
    if (systemCode(error) === "EPIPE") process.exit(0);
    throw error;
  });
}

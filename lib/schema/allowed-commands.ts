/**
 * `allowed-commands.json`: the programs that a fix may run. Absolute paths, no shell, arguments checked one by one.
 *
 * @module
 */
import { z } from "zod";
import type { PolicyDefinition } from "./policy.js";
import { idSchema, positiveSeconds } from "./primitives.js";
import type { Problem } from "./problems.js";

export const allowedCommandSchema = z.strictObject({
  name: idSchema,
  path: z
    .string()
    .max(4096)
    .refine((path) => path.startsWith("/") && !path.split("/").some((part) => part === ".." || part === "."), {
      error: "must be an absolute path without . and ..",
    }),
  /** One pattern for each argument, which must match from its first to its last character. None: no arguments. */
  args: z.array(z.string().min(1).max(512)).max(64).optional(),
  timeout_seconds: positiveSeconds.max(3600).optional(),
});
export type AllowedCommand = z.infer<typeof allowedCommandSchema>;

export const allowedCommandsShape = z.strictObject({
  commands: z.array(allowedCommandSchema).max(200).optional().describe("The programs. An empty list allows none."),
});
export type AllowedCommandsFile = z.infer<typeof allowedCommandsShape>;

export interface AllowedCommands {
  readonly commands: readonly AllowedCommand[];
}

function check(explicit: AllowedCommandsFile): Problem[] {
  const commands = explicit.commands ?? [];
  return commands.flatMap((command, index) => {
    const problems: Problem[] = [];
    if (commands.findIndex((each) => each.name === command.name) !== index)
      problems.push({ field: `commands.${index}.name`, message: `"${command.name}" is there twice` });
    for (const [nth, pattern] of (command.args ?? []).entries())
      if (patternOf(pattern) === null)
        problems.push({ field: `commands.${index}.args.${nth}`, message: "must be a regular expression" });
    return problems;
  });
}

export const allowedCommandsDefinition: PolicyDefinition<AllowedCommands, AllowedCommandsFile> = {
  name: "allowed-commands",
  perType: false,
  shape: allowedCommandsShape,
  complete: (explicit) => ({ commands: explicit.commands ?? [] }),
  check,
};

function patternOf(text: string): RegExp | null {
  try {
    return new RegExp(`^(?:${text})$`, "u");
  } catch {
    return null;
  }
}

/** Why a command with these arguments may not be run; null if it may. */
export function whyNotAllowed(allowed: AllowedCommands, name: string, args: readonly string[]): string | null {
  const command = allowed.commands.find((each) => each.name === name);
  if (command === undefined) return `"${name}" is not in allowed-commands.json`;
  const patterns = command.args ?? [];
  if (args.length !== patterns.length) return `"${name}" takes ${patterns.length} arguments, got ${args.length}`;
  const bad = args.findIndex(
    (arg, index) => arg.includes("\0") || patternOf(patterns[index] as string)?.test(arg) !== true,
  );
  return bad === -1 ? null : `argument ${bad + 1} of "${name}" does not match ${JSON.stringify(patterns[bad])}`;
}

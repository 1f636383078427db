/** Templates as an operator would write them, for the workers of the examples. @module */
import { fileURLToPath } from "node:url";

export type Template = Readonly<Record<string, unknown>>;

/** Runs a compiled program that stands beside the example. */
export function nodeTemplate(
  program: URL,
  blocks: Template = {},
  env: Readonly<Record<string, string>> = {},
): Template {
  return {
    launch: {
      target: "process",
      command: process.execPath,
      args: [fileURLToPath(program)],
      env,
      stop: { scope: "group", grace_seconds: 2 },
    },
    heartbeat: { mode: "required" },
    ...blocks,
  };
}

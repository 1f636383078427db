/** Reads secrets at the moment they are needed, and keeps them out of whatever is said about a failure. @module */
import { readSmall, safetyOf } from "../platform/files.js";

export type Resolved =
  | { readonly ok: true; readonly value: string }
  /** Names the reference, never a value. */
  | { readonly ok: false; readonly problem: string };

const SECRET_BYTES_MAX = 16 * 1024;

/** Resolves `env:NAME` and `file:/PATH`, with a word before it or not; any other text is what it says. */
export function resolveSecret(text: string, env: NodeJS.ProcessEnv = process.env): Resolved {
  const match = /^([A-Za-z]+ )?(env|file):(.+)$/.exec(text);
  if (match === null || (match[2] === "file" && !match[3]?.startsWith("/"))) return { ok: true, value: text };
  const [, word = "", kind, name = ""] = match;
  const read = kind === "env" ? fromEnvironment(name, env) : fromFile(name);
  return read.ok ? { ok: true, value: word + read.value } : read;
}

function fromEnvironment(name: string, env: NodeJS.ProcessEnv): Resolved {
  const value = env[name];
  if (value === undefined || value.trim() === "") return { ok: false, problem: `env:${name} is not set` };
  return { ok: true, value: value.trim() };
}

/** A secret's file is trusted as a policy is: who can write it can send our messages elsewhere. */
function fromFile(path: string): Resolved {
  try {
    const unsafe = safetyOf(path);
    if (unsafe !== null) return { ok: false, problem: `file:${path} is refused: ${unsafe}` };
    const value = readSmall(path, { maxBytes: SECRET_BYTES_MAX })?.text.trim() ?? "";
    if (value === "") return { ok: false, problem: `file:${path} is empty` };
    if (value.includes("\n")) return { ok: false, problem: `file:${path} has more than one line` };
    return { ok: true, value };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return { ok: false, problem: `file:${path} cannot be read (${typeof code === "string" ? code : "unknown"})` };
  }
}

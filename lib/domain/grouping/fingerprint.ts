/** Names what a failure is the same as: explicit, else by stack, else by message, else by the template of a line. @module */

import { assign, type Clusters } from "./clusters.js";
import { harmless } from "./harmless.js";
import { lex } from "./lex.js";
import { shortHash } from "./name.js";
import { findStack } from "./stack.js";
import { fold, render } from "./template.js";

export interface FingerprintInput {
  /** Given by whoever reported the failure; stands over everything. */
  readonly explicit?: string | null;
  /** Text that may hold a stack trace, such as a log tail. */
  readonly text?: string | null;
  /** The sentence of the failure. */
  readonly message?: string | null;
  /** The line of a log that tells most. */
  readonly line?: string | null;
}

export type FingerprintKind = "explicit" | "stack" | "message" | "template";

export interface Fingerprint {
  readonly kind: FingerprintKind;
  /** Equal for failures that are the same; 16 hexadecimal digits. */
  readonly id: string;
  /** The same for a person: type and innermost frame, or the text with values masked. At most 200 characters. */
  readonly signature: string;
}

const SIGNATURE_LENGTH = 200;
const NO_PARAMETERS: ReadonlySet<number> = new Set();

/** A text with every value masked and runs of values folded: equal for messages that differ in their values only. */
export function parameterise(text: string): string {
  return fold(render(lex(harmless(text)), NO_PARAMETERS));
}

/**
 * Makes the fingerprint of a failure, or null if there is nothing to go by.
 *
 * Only the last resort, the template of a line, learns from what it sees; without clusters there is no last resort.
 */
export function fingerprint(clusters: Clusters | null, input: FingerprintInput): Fingerprint | null {
  const explicit = harmless(input.explicit ?? "").trim();
  if (explicit !== "") return { kind: "explicit", ...signed(explicit, `explicit\n${explicit}`) };
  const stack = input.text ? findStack(input.text) : null;
  if (stack !== null) {
    const name = `${stack.type} in ${stack.frames[0] ?? "unknown"}`;
    return { kind: "stack", ...signed(name, ["stack", stack.language, stack.type, ...stack.frames].join("\n")) };
  }
  const message = parameterise(input.message ?? "");
  if (message !== "") return { kind: "message", ...signed(message, `message\n${message}`) };
  if (clusters === null || !input.line || harmless(input.line).trim() === "") return null;
  const group = assign(clusters, input.line);
  return { kind: "template", id: group.id, signature: group.template.slice(0, SIGNATURE_LENGTH) };
}

function signed(signature: string, text: string): { readonly id: string; readonly signature: string } {
  return { id: shortHash(text), signature: signature.slice(0, SIGNATURE_LENGTH) };
}

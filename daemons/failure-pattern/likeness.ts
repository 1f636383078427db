/**
 * Knows the signatures that patterns go by, so that a failure whose words are nearly the same joins the pattern there is.
 *
 * Only texts are compared. What kernel or exit say, what a worker names itself, a stack and a task are the same or are not.
 * @module
 */
import { parameterise } from "../../lib/domain/grouping/fingerprint.js";
import { areSimilar, type Words, wordsOf } from "../../lib/domain/grouping/similarity.js";
import type { Count, Failure } from "./messages.js";

type Named = Pick<Count, "type" | "worker_type" | "signature" | "template">;

interface Known {
  readonly signature: string;
  readonly template: string;
  readonly words: Words;
}

/** Signatures of one type of failure and of worker that are remembered: a storm of texts is held against no more. */
const SIGNATURES_MAX = 100;
const SCOPES_MAX = 500;

export class Likeness {
  /** By type of failure and of worker; the oldest first in both. */
  readonly #scopes = new Map<string, Known[]>();
  readonly #patterns: () => readonly Named[];
  #isFilled = false;

  /** @param patterns The patterns there are; asked once, at the first failure. */
  constructor(patterns: () => readonly Named[]) {
    this.#patterns = patterns;
  }

  /** Remembers what a pattern goes by now. */
  learn({ type, worker_type, signature, template }: Named): void {
    if (!isText(signature)) return;
    const scope = this.#scopeOf(type, worker_type);
    const at = scope.findIndex((each) => each.signature === signature);
    if (at !== -1 && scope[at]?.template === template) return;
    const known = { signature, template, words: wordsOf(template) };
    if (at !== -1) scope[at] = known;
    else if (scope.push(known) > SIGNATURES_MAX) scope.shift();
  }

  /** The failure with the signature of the pattern that it is like; itself if there is none. */
  joined(failure: Failure, threshold: number): Failure {
    this.#fill();
    const text = textOf(failure);
    if (text === null) return failure;
    const scope = this.#scopeOf(failure.type, failure.worker_type);
    if (scope.some(({ signature }) => signature === failure.signature)) return failure;
    const words = wordsOf(text);
    const like = scope.find((each) => areSimilar(each.words, words, threshold));
    if (like !== undefined) return { ...failure, signature: like.signature, template: like.template, line: null };
    const { type, worker_type, signature, template } = failure;
    if (signature !== null) this.learn({ type, worker_type, signature, template });
    return failure;
  }

  #fill(): void {
    if (this.#isFilled) return;
    this.#isFilled = true;
    for (const each of this.#patterns()) this.learn(each);
  }

  #scopeOf(type: string, workerType: string): Known[] {
    const key = `${type}|${workerType}`;
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const made: Known[] = [];
    this.#scopes.set(key, made);
    for (const oldest of this.#scopes.keys()) {
      if (this.#scopes.size <= SCOPES_MAX) break;
      this.#scopes.delete(oldest);
    }
    return made;
  }
}

/** A signature made of a sentence, or of the template of a line. */
function isText(signature: string): boolean {
  return signature.startsWith("message ") || signature.startsWith("template ");
}

/** What of a failure is compared; null if it is no text. */
function textOf({ signature, template, line }: Failure): string | null {
  if (signature !== null) return isText(signature) ? template : null;
  return line === null ? null : parameterise(line);
}

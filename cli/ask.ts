/** Asks before an order that is for many. @module */
import { createInterface } from "node:readline/promises";
import { Refused } from "../lib/errors.js";

/** From how many on a person is asked. */
export const MANY = 10;

/**
 * Asks a question that only "y" and "yes" answer with yes.
 *
 * @param deed What is refused otherwise, as part of a sentence.
 * @param why Why it is asked at all, where the deed does not say.
 * @throws {Refused} If the answer is another, or nobody can be asked.
 */
export async function confirm(question: string, deed: string, why?: string): Promise<void> {
  const refusal = new Refused(`Refused to ${deed} without --yes${why === undefined ? "" : `: ${why}`}`);
  if (!process.stdin.isTTY) throw refusal;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw refusal;
  } finally {
    prompt.close();
  }
}

/**
 * Asks whether to go on when an order is for more than ten.
 *
 * @throws {Refused} If the answer is no, or nobody can be asked.
 */
export async function confirmMany(count: number, deed: string, yes: boolean): Promise<void> {
  if (count <= MANY || yes) return;
  await confirm(`${deed} ${count} workers?`, `${deed} ${count} workers`);
}

/** Asks before an order that is for many. @module */
import { createInterface } from "node:readline/promises";
import { Refused } from "../lib/errors.js";

/** From how many on a person is asked. */
export const MANY = 10;

/**
 * Asks whether to go on when an order is for more than ten.
 *
 * @throws {Refused} If the answer is no, or nobody can be asked.
 */
export async function confirmMany(count: number, deed: string, yes: boolean): Promise<void> {
  if (count <= MANY || yes) return;
  const refusal = new Refused(`Refused to ${deed} ${count} workers without --yes`);
  if (!process.stdin.isTTY) throw refusal;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${deed} ${count} workers? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw refusal;
  } finally {
    prompt.close();
  }
}

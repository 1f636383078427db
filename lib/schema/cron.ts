/** Whether a cron expression can be scheduled, said without scheduling it. Pure. @module */

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names of the values, the first for `min`; three letters of one are enough. */
  readonly names?: readonly string[];
}

const MONTHS = "january february march april may june july august september october november december".split(" ");
const DAYS = "sunday monday tuesday wednesday thursday friday saturday".split(" ");

const FIELDS: readonly Field[] = [
  { name: "second", min: 0, max: 59 },
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day of the month", min: 1, max: 31 },
  { name: "month", min: 1, max: 12, names: MONTHS },
  { name: "day of the week", min: 0, max: 7, names: DAYS },
];

/**
 * Why an expression is none; null if it is good.
 *
 * Five fields, or six with the seconds first; each is `*`, a value, a range, a step, or a list of these. What this accepts, the
 * scheduler accepts; of what that knows beyond (`?`, `L`, `@daily`), nothing is accepted here.
 */
export function cronProblem(expression: string): string | null {
  const parts = expression.trim().split(/\s+/);
  const fields = FIELDS.slice(-Math.max(5, parts.length));
  if (parts.length !== fields.length)
    return `must be a cron expression of five fields such as "0 6 * * *", got ${JSON.stringify(expression)}`;
  for (const [index, field] of fields.entries()) {
    const part = parts[index] as string;
    if (!part.split(",").every((one) => isGood(one, field)))
      return `must have a ${field.name} from ${field.min} to ${field.max} (or *, a range, a step, a list), got ${JSON.stringify(part)} in ${JSON.stringify(expression)}`;
  }
  return null;
}

function isGood(part: string, field: Field): boolean {
  const [range, step, ...more] = part.split("/");
  if (range === undefined || more.length > 0) return false;
  if (step !== undefined && !(isNumber(step) && Number(step) >= 1 && Number(step) <= field.max)) return false;
  if (range === "*") return true;
  const ends = range.split("-").map((end) => numberOf(end, field));
  const [from, to] = ends;
  if (ends.length > 2 || from === undefined || from === null || to === null) return false;
  // A step needs something to step through. A range may go over the end, as from Friday to Monday.
  return to !== undefined || step === undefined;
}

function numberOf(text: string, { min, max, names }: Field): number | null {
  const wanted = text.toLowerCase();
  const named = names?.findIndex((name) => name === wanted || name.slice(0, 3) === wanted) ?? -1;
  const value = named >= 0 ? named + min : isNumber(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : null;
}

function isNumber(text: string): boolean {
  return /^\d{1,2}$/.test(text);
}

/** The names of workers' logs. Pure. @module */

/** The attempt in `attempt-3.log`; null for any other name. */
export function readAttemptLogName(name: string): number | null {
  const match = /^attempt-(\d{1,10})\.log$/.exec(name);
  return match === null ? null : Number(match[1]);
}

/** `heald policy apply`: checks a policy, shows what it changes, and puts it in force. @module */
import { createHash } from "node:crypto";
import { existsSync, lstatSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigurationError, NotFound, Refused } from "../lib/errors.js";
import { createExclusive, ensureDirectory, readSmall, replaceFile } from "../lib/platform/files.js";
import type { Policy } from "../lib/schema/policy.js";
import type { Layout } from "../lib/store/layout.js";
import { confirm } from "./ask.js";
import { type BacktestReport, runBacktest, TooFineForRecording } from "./backtest/run.js";
import { JUDGED, NOT_JUDGED } from "./backtest/subject.js";
import { jsonOf, tellBacktest } from "./backtest/tell.js";
import type { Call } from "./command.js";
import { openForWriting } from "./home.js";
import { flagOption, textOption } from "./options.js";
import { policyNamed, readPolicyFile } from "./policies.js";
import { type KeyChange, keyChanges } from "./policy-changes.js";
import { paint, print, printJson, printTable } from "./screen.js";

const WEEK_MS = 7 * 86_400_000;
/** From so many subjects on whose acts differ a person is asked. */
export const LARGE_SUBJECTS = 5;

/** What the backtest said, or why there is none. */
type Judgement = { readonly report: BacktestReport } | { readonly why: string };

export async function apply(call: Call): Promise<number> {
  const path = resolve(call.args[0] as string);
  if (!existsSync(path)) throw new NotFound(`No file ${JSON.stringify(path)}`);
  const name = policyNamed(textOption(call.options, "as") ?? path);
  if (name === null) throw new NotFound(`No policy is called ${JSON.stringify(path)}: name one with --as`);
  const layout = openForWriting(call, ({ configDir }) => [configDir]);
  const target = layout.config(name);
  refuseLink(target);
  const next = await sound(name, path);
  const before = await inForce(name, target);
  const changes = keyChanges(before.policy, next.policy);
  const isJson = flagOption(call.options, "json");
  if (changes.length === 0 && before.text === next.text) {
    if (isJson) printJson({ policy: name, applied: false, changes: [] });
    else print(`${name}.json is in force as it is`);
    return 0;
  }
  const judgement = await judge(layout, name, next.policy);
  if (!isJson) tell(name, changes, judgement);
  const large = largeBecause(judgement);
  if (large !== null && !flagOption(call.options, "yes"))
    await confirm(`Put ${name}.json in force, although ${large}?`, `put ${name}.json in force`, large);
  const back = install(layout, name, before, next.text);
  if (isJson)
    printJson({
      policy: name,
      applied: true,
      changes,
      back,
      ...("report" in judgement ? { backtest: jsonOf(judgement.report) } : { not_judged: judgement.why }),
    });
  else {
    print(`${paint("green", "applied")}  ${target}; running daemons have it within a second`);
    print(`back     ${back}`);
  }
  return 0;
}

/** Whoever keeps policies elsewhere and links them here would lose the link. */
function refuseLink(target: string): void {
  if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new Refused(`Cannot replace ${JSON.stringify(target)}: it is a link; change what it points to`);
}

async function sound(name: string, path: string): Promise<{ readonly policy: Policy<unknown>; readonly text: string }> {
  const outcome = await readPolicyFile(name, path);
  if (outcome.kind === "bad") throw new ConfigurationError(outcome.sentence);
  return { policy: outcome.policy, text: outcome.text };
}

interface Before {
  readonly policy: Policy<unknown>;
  /** Null: there is no file, and the defaults are in force. */
  readonly text: string | null;
}

/** What stands there now. A file that daemons refuse is replaced like any other, and kept. */
async function inForce(name: string, target: string): Promise<Before> {
  const outcome = await readPolicyFile(name, target);
  if (outcome.kind === "good") return { policy: outcome.policy, text: outcome.isThere ? outcome.text : null };
  const defaults = await readPolicyFile(name, `${target}.none`);
  if (defaults.kind === "bad") throw new Error(`The defaults of ${name} are refused`);
  return { policy: defaults.policy, text: readSmall(target, { maxBytes: BEFORE_BYTES_MAX })?.text ?? null };
}

const BEFORE_BYTES_MAX = 16 * 1024 * 1024;

async function judge(layout: Layout, name: string, policy: Policy<unknown>): Promise<Judgement> {
  if (!Object.hasOwn(JUDGED, name)) return { why: NOT_JUDGED[name] ?? "no recorded decision depends on it" };
  const nowMs = Date.now();
  try {
    return { report: await runBacktest(layout, name, policy, nowMs - WEEK_MS, nowMs) };
  } catch (error) {
    if (error instanceof TooFineForRecording) return { why: error.message };
    throw error;
  }
}

/** Why a person should say so first; null if the difference is small. */
function largeBecause(judgement: Judgement): string | null {
  if ("why" in judgement) return "what it would have done cannot be told";
  const { changes, detection, decisions } = judgement.report;
  if (decisions === 0 && (detection?.silences ?? 0) === 0) return "nothing is recorded to judge it by";
  const killed = detection?.would_have_killed.length ?? 0;
  if (killed > 0) return `it would have ended a worker that went on${killed === 1 ? "" : `, ${killed} times`}`;
  const subjects = new Set(changes.map(({ subject }) => subject)).size;
  return subjects >= LARGE_SUBJECTS ? `it would have acted otherwise for ${subjects}` : null;
}

function tell(name: string, changes: readonly KeyChange[], judgement: Judgement): void {
  const shown = (value: unknown): string => (value === undefined ? "-" : JSON.stringify(value));
  if (changes.length === 0) print(`${name}.json says the same in other words`);
  else
    printTable(
      ["KEY", "NOW", "NEXT"],
      changes.map(({ key, before, after }) => [key, shown(before), shown(after)]),
    );
  print();
  if ("report" in judgement) tellBacktest(judgement.report);
  else print(`not judged: ${judgement.why}`);
  print();
}

/** Keeps what was there beside the texts that decisions name, and replaces it. Returns how to go back. */
function install(layout: Layout, name: string, before: Before, text: string): string {
  const target = layout.config(name);
  // The question may have stood for a while.
  if ((readSmall(target, { maxBytes: BEFORE_BYTES_MAX })?.text ?? null) !== before.text)
    throw new Refused(`Refused to replace ${JSON.stringify(target)}: somebody has changed it meanwhile; look again`);
  if (before.text === null) {
    replaceFile(target, text, { sync: true });
    return `rm ${target}`;
  }
  ensureDirectory(layout.policyTextsDir);
  const hash = createHash("sha256").update(before.text).digest("hex").slice(0, 16);
  const kept = join(layout.policyTextsDir, `${hash}.json`);
  createExclusive(kept, before.text, { sync: true });
  replaceFile(target, text, { sync: true });
  return `heald policy apply ${kept} --as ${name}`;
}

/**
 * A fix for a pattern or a condition, from the first look to its start, its proposal or its suppression.
 *
 * @module
 */
import { within } from "../../lib/domain/limits.js";
import type { DecisionDraft, Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { type Question, trustOf, whyAsk } from "./gate-question.js";
import { type Asked, askGates, type FailedGate } from "./gates.js";
import type { Act, Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { type Applied, counted, type HealerPart, type MatchPart, type RunPart, refOf, type Slice } from "./state.js";
import {
  answerWords,
  diffWords,
  historyRecord,
  incidentOf,
  pendingRecord,
  runRecord,
  Telling,
  writeRun,
} from "./telling.js";

const DAY_MS = 86_400_000;
/** How soon a gate is asked again that says no time of its own, and how late at most. */
const LOOK_AGAIN_MS = 60_000;
const LOOK_AGAIN_MAX_MS = 3_600_000;
/** A proposal that was declined or ran out is not made again for so long. */
export const DECLINED_MS = DAY_MS;

export function onConsider(slice: Slice, event: Of<"consider">, settings: AutoFixSettings): Step {
  const { run, match } = slice;
  const isPending = run?.phase === "pending";
  if (event.approved_by === null ? match.open_run !== null : !isPending) return { slice, effects: [] };
  const question: Question = { slice, event, settings, nowMs: event.stamp.atMs };
  const asked = askGates(question);
  const { failed } = asked;
  if (failed === null) return settings.dry_run ? dryRun(question, asked, null) : begin(question, asked);
  if (event.approved_by !== null) return refuseApproved(question, asked.gates, failed);
  if (failed.gate === "approval") return settings.dry_run ? dryRun(question, asked, failed) : propose(question, asked);
  return suppress(question, asked.gates, failed);
}

/** The run as it begins. */
function newRun(question: Question, message: string): RunPart {
  const { event, settings, nowMs } = question;
  const { pattern, condition } = event;
  return {
    ...refOf(event),
    plan: event.plan,
    phase: "preparing",
    mode: settings.dry_run ? "dry_run" : "live",
    scope: event.scope,
    workers: event.workers.slice(0, 50),
    pattern_id: pattern?.pattern_id ?? null,
    occurrences: pattern?.total ?? 0,
    last_seen_ms: pattern?.last_seen_ms ?? nowMs,
    why: pattern?.message ?? `${condition?.policy}: ${answerWords(condition?.answers ?? [])}`,
    diff: event.facts.diff,
    before: [],
    step: 0,
    approved_by: event.approved_by,
    started_ms: nowMs,
    expires_ms: null,
    applied_ms: null,
    ends_ms: null,
    verdict: null,
    conflicts: [],
    undo_reason: null,
    message,
  };
}

const words = ({ event }: Question): string =>
  `${event.plan.name} for ${event.scope}${event.facts.diff.length > 0 ? `: ${diffWords(event.facts.diff)}` : ""}`;

/** Every gate is passed: the account is charged, and what stands there now is written down before anything is touched. */
function begin(question: Question, asked: Asked): Step {
  const { slice, event, nowMs } = question;
  const telling = new Telling(event.stamp);
  const matched = matchedNews(telling, question);
  const before = slice.run;
  const message = words(question);
  const fresh = { ...newRun(question, message), is_watched: asked.band !== "apply" };
  const run: RunPart = before === null ? fresh : { ...fresh, started_ms: before.started_ms };
  const healer = opened(spent(slice.healer, question, "applied"), run, question);
  const effects: Act[] = [
    ...matched,
    ...(event.approved_by === null
      ? []
      : [
          telling.ofRun("fix_approved", run, `${event.approved_by} approved ${message}`, "approved", {
            by: event.approved_by,
          }),
          // A copy in approved/ leaves the proposal where it was.
          { kind: "remove-pending", run_id: run.run_id } as const,
        ]),
    writeRun(run, nowMs),
    { kind: "prepare", ...refOf(run), run },
    { kind: "wake", key: wakeKey("expire", run), atMonoMs: null },
  ];
  return {
    slice: { ...slice, run, healer, match: { ...slice.match, gate: null, open_run: run.run_id, touched_ms: nowMs } },
    effects,
    decision: draft(question, "apply", asked.band, message, asked.gates),
  };
}

/** Each limit is spent when a fix is applied, and by it alone. */
function spent(healer: HealerPart, { event, nowMs }: Question, from: "applied" | "shadow"): HealerPart {
  const { run_id, fix_id, subject } = event;
  const entry: Applied = {
    ...{ run_id, fix_id, subject, scope: event.scope, category: event.plan.category, at_ms: nowMs },
    workers: event.facts.affected,
    occurrences: event.pattern?.total ?? 0,
  };
  const recent = new Set(
    within(
      healer[from].map((each) => each.at_ms),
      nowMs,
      DAY_MS,
    ),
  );
  return { ...healer, [from]: [...healer[from].filter((each) => recent.has(Math.min(each.at_ms, nowMs))), entry] };
}

function opened(healer: HealerPart, run: RunPart, { event }: Question): HealerPart {
  const baselines = { ...healer.baselines };
  for (const { field, before } of event.facts.fields) {
    const key = `${event.scope}|${field}`;
    if (before !== null && !Object.hasOwn(baselines, key)) baselines[key] = before;
  }
  const ladders = event.condition === null ? healer.ladders : climbed(healer.ladders, event.condition);
  const open = { ...healer.open, [run.run_id]: { fix_id: run.fix_id, scope: run.scope, is_judged: false } };
  return { ...healer, baselines, ladders, open };
}

function climbed(
  ladders: HealerPart["ladders"],
  condition: NonNullable<Of<"consider">["condition"]>,
): HealerPart["ladders"] {
  const tried = Object.hasOwn(ladders, condition.component) ? (ladders[condition.component] ?? []) : [];
  if (tried.includes(condition.policy)) return ladders;
  return { ...ladders, [condition.component]: [...tried, condition.policy] };
}

/** Said once for a subject, when a fix is first known for it. Each asks for it first: events are written in the order of their numbers. */
function matchedNews(telling: Telling, { slice, event }: Question): Act[] {
  if (slice.match.touched_ms !== 0) return [];
  const { run_id, fix_id, subject, plan, scope, pattern } = event;
  return [
    telling.event("fix_matched", scope, incidentOf(subject), {
      message: `${plan.name} is known for ${pattern?.key ?? subject} of ${scope}`,
      reason: "matched",
      data: { run_id, fix_id, subject, ...(pattern === null ? {} : { pattern_id: pattern.pattern_id }) },
    }),
  ];
}

/** A proposal waits for a person. */
function propose(question: Question, asked: Asked): Step {
  const { slice, event, settings, nowMs } = question;
  const telling = new Telling(event.stamp);
  const matched = matchedNews(telling, question);
  const message = words(question);
  const why = whyAsk(question) ?? "";
  const expires = nowMs + settings.approval.expires_after_seconds * 1000;
  const run: RunPart = { ...newRun(question, message), phase: "pending", expires_ms: expires };
  const asking = telling.ofRun("fix_pending", run, `${message} waits for a person: ${why}`, "approval", {
    why,
    diff: run.diff,
    risk: run.plan.risk,
    command: `heald fix approve ${run.run_id}`,
    expires_at: writeInstant(expires),
  });
  return {
    slice: {
      ...slice,
      run,
      healer: counted(slice.healer, "fixes_proposed"),
      match: { ...slice.match, gate: "approval", open_run: run.run_id, touched_ms: nowMs },
    },
    effects: [
      ...matched,
      writeRun(run, nowMs),
      { kind: "write-pending", record: pendingRecord(run) },
      asking,
      {
        kind: "wake",
        key: wakeKey("expire", run),
        atMonoMs: event.stamp.monoMs + settings.approval.expires_after_seconds * 1000,
      },
    ],
    decision: draft(question, "ask", "approval", `${message}: ${why}`, asked.gates),
  };
}

/** A gate says no: said when it is another than before, and asked again when it may have changed. */
function suppress(question: Question, gates: readonly Gate[], failed: FailedGate): Step {
  const { slice, event, settings, nowMs } = question;
  const telling = new Telling(event.stamp);
  const matched = matchedNews(telling, question);
  // A dry run that waits for its next turn has said what it would do.
  const isWaiting =
    slice.match.gate === "dry_run" && (["fresh", "cooldown"].includes(failed.gate) || failed.gate.startsWith("limit_"));
  const isNews = slice.match.gate !== failed.gate && !isWaiting;
  const message = `${event.plan.name} is not applied to ${event.scope}: ${failed.reason}`;
  const ladderEnds = endsLadder(question, failed);
  const match: MatchPart = {
    ...slice.match,
    gate: failed.gate,
    told_given_up: slice.match.told_given_up || ladderEnds,
    touched_ms: nowMs,
  };
  // What the condition of a policy says is asked with every sample anyway.
  const waits = Math.min(
    LOOK_AGAIN_MAX_MS,
    failed.passesAtMs === null ? LOOK_AGAIN_MS : Math.max(250, failed.passesAtMs - nowMs + 1),
  );
  const wake: Act = { kind: "wake", key: wakeKey("look", event), atMonoMs: event.stamp.monoMs + waits };
  const changed = isNews || ladderEnds;
  if (!changed) return { slice, effects: [wake] };
  const news = telling.event("fix_suppressed", event.scope, incidentOf(event.subject), {
    message,
    reason: failed.gate,
    data: { fix_id: event.fix_id, subject: event.subject, mode: settings.dry_run ? "dry_run" : "live" },
  });
  // A condition that ends is no news: it was never promised anything.
  const isQuiet = failed.gate === "fresh" || failed.gate === "enabled";
  const healer = isQuiet || !isNews ? slice.healer : counted(slice.healer, "fixes_suppressed");
  const run = newRun(question, message);
  const person = ladderEnds
    ? [
        telling.escalation(
          run,
          run.why,
          [`${slice.match.ineffective} runs of ${event.plan.name}: ineffective, undone`],
          "look yourself, no fix that is known has helped",
          `heald why ${incidentOf(event.subject)}`,
        ),
      ]
    : [];
  return {
    slice: { ...slice, match, healer },
    effects: [...matched, ...(isQuiet || !isNews ? [] : [news]), ...person, wake],
    decision: isNews ? draft(question, "suppress", failed.gate, message, gates) : undefined,
  };
}

/** The same fix did not help as often as it may be tried: now a person must look, and is told the whole story once. */
function endsLadder({ slice, settings }: Question, failed: FailedGate): boolean {
  const tried = settings.undo.max_attempts;
  return failed.gate === "prerequisites" && tried > 0 && slice.match.ineffective >= tried && !slice.match.told_given_up;
}

/** Approved, but a gate says no by now: nothing is changed, and the one who approved is told why. */
function refuseApproved(question: Question, gates: readonly Gate[], failed: FailedGate): Step {
  const { slice, event, nowMs } = question;
  const run = slice.run as RunPart;
  const telling = new Telling(event.stamp);
  const message = `${run.message}: approved, and not applied because ${failed.reason}`;
  const done: RunPart = { ...run, phase: "done", message };
  return {
    slice: { ...slice, run: null, match: { ...slice.match, gate: failed.gate, open_run: null, touched_ms: nowMs } },
    effects: [
      writeRun(done, nowMs),
      { kind: "refuse-answer", folder: "approved", run_id: run.run_id, why: failed.reason },
      telling.ofRun("fix_rejected", done, message, failed.gate, { by: "auto-fix" }),
      historyRecord(done, "refused", event.stamp, message, failed.gate),
      { kind: "remove-pending", run_id: run.run_id },
      { kind: "wake", key: wakeKey("expire", run), atMonoMs: null },
    ],
    decision: draft(question, "refuse", failed.gate, message, gates),
  };
}

/** Everything but the deed. */
function dryRun(question: Question, asked: Asked, failed: FailedGate | null): Step {
  const { slice, event, nowMs } = question;
  const telling = new Telling(event.stamp);
  const matched = matchedNews(telling, question);
  const would = failed === null ? "would be applied" : "would wait for a person";
  const message = `${words(question)} ${would}; this is a dry run`;
  const run: RunPart = { ...newRun(question, message), phase: "done" };
  const healer = counted(spent(slice.healer, question, "shadow"), "fixes_dry_run", "fixes_suppressed");
  const match = { ...slice.match, gate: "dry_run", touched_ms: nowMs };
  const isAnswer = event.approved_by !== null;
  return {
    slice: isAnswer
      ? { ...slice, healer, run: null, match: { ...match, open_run: null } }
      : { ...slice, healer, match },
    effects: [
      ...matched,
      ...(isAnswer ? notInDryRun(run) : []),
      { kind: "write-run", record: runRecord(run, nowMs) },
      telling.ofRun("fix_suppressed", run, message, "dry_run", { diff: run.diff, trust: trustOf(question).bound }),
      historyRecord(run, "success", event.stamp, message, failed === null ? "would_apply" : "would_ask"),
    ],
    decision: {
      ...draft(question, "dry_run", failed === null ? asked.band : "approval", message, asked.gates),
      mode: "dry_run",
    },
  };
}

/** The policy became a dry run while it waited: the one who approved is told, and it waits no more. */
function notInDryRun(run: RunPart): Act[] {
  return [
    {
      kind: "refuse-answer",
      folder: "approved",
      run_id: run.run_id,
      why: "the policy says dry_run: nothing is changed",
    },
    { kind: "remove-pending", run_id: run.run_id },
    { kind: "wake", key: wakeKey("expire", run), atMonoMs: null },
  ];
}

export function draft(
  { event }: { readonly event: Of<"consider"> },
  verdict: string,
  reason: string,
  message: string,
  gates: readonly Gate[],
): DecisionDraft {
  return {
    subject: event.subject,
    verdict,
    reason,
    message: message.slice(0, 160),
    gates,
    incident_id: incidentOf(event.subject),
  };
}

/** Wakes name all that their events must address. */
export function wakeKey(
  what: "check" | "expire" | "look",
  ref: { run_id: string; fix_id: string; subject: string; learn: string },
): string {
  return [what, what === "look" ? "-" : ref.run_id, ref.fix_id, ref.learn, ref.subject].join("|");
}

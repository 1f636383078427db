/** Tells a story in words, for a terminal of 80 columns: local times with ages, what was seen, decided and done. @module */
import { EVENTS } from "../../lib/schema/catalogue.js";
import type { LogJson } from "../../lib/store/log-file.js";
import { columns, paint, print, wrap } from "../screen.js";
import { localTime, span } from "../times.js";
import { gatesOf, passedWords, passesAtMs, type ToldGate, words } from "./gates.js";
import type { Standing } from "./standing.js";
import { type Step, type Story, textIn } from "./steps.js";

const WIDTH_MAX = 100;
/** A pause that is worth a word. */
const PAUSE_MS = 60_000;
const BESIDE = "  ";

/** How much of a decision is told. */
export interface Telling {
  readonly nowMs: number;
  /** Each gate on a line of its own, with its sentence. */
  readonly all_gates: boolean;
}

export function tellStory(story: Story, telling: Telling): void {
  let day = "";
  let incident: string | null = null;
  let lastMs = 0;
  for (const step of story.steps) {
    const today = dayOf(step.atMs);
    if (today !== day && today !== dayOf(telling.nowMs)) print(paint("dim", today));
    day = today;
    const own = textIn(step.record, "incident_id");
    if (own !== null && own !== incident) print(paint("bold", `incident ${own}`));
    incident = own ?? incident;
    const pauseMs = lastMs === 0 ? 0 : step.atMs - lastMs;
    lastMs = step.atMs;
    tellStep(step, pauseMs > PAUSE_MS ? `, ${span(pauseMs)} later` : "", telling);
  }
}

function tellStep(step: Step, pause: string, telling: Telling): void {
  const { atMs, record } = step;
  // Somebody's own line may not say when.
  const isTimed = atMs > 0;
  const when = (isTimed ? `${clockOf(atMs)}, ${span(telling.nowMs - atMs)} ago` : "?").padEnd(18);
  const line = (text: string): void => say(`${when}${BESIDE}${text}${paint("dim", pause)}`, 4);
  if (step.kind === "event") line(eventWords(record));
  else if (step.kind === "outcome") line(outcomeWords(record));
  else {
    line(decisionWords(step));
    tellGates(gatesOf(step), telling);
  }
}

function eventWords(record: LogJson): string {
  const type = textIn(record, "event_type") ?? "?";
  const attempt = typeof record.attempt === "number" ? ` of attempt ${record.attempt}` : "";
  const sentence = Object.hasOwn(EVENTS, type) ? EVENTS[type as keyof typeof EVENTS].sentence : "";
  return `saw ${type}${attempt}: ${textIn(record, "message") ?? sentence}`;
}

function outcomeWords(record: LogJson): string {
  const reason = textIn(record, "message") ?? textIn(record, "reason");
  const attempt = typeof record.attempt === "number" ? ` of attempt ${record.attempt}` : "";
  const verdict = textIn(record, "verdict");
  const result = `${textIn(record, "result") ?? "?"}${verdict === null ? "" : `, ${verdict}`}`;
  return `noted ${result}${attempt}${reason === null ? "" : `: ${reason}`}`;
}

function decisionWords({ log, record }: Step): string {
  const mode = textIn(record, "mode");
  const only = mode === null || mode === "live" ? "" : ` ${paint("yellow", `[${mode}: decided, not done]`)}`;
  const verdict = paint("bold", textIn(record, "verdict") ?? "?");
  const message = textIn(record, "message") ?? textIn(record, "reason") ?? "";
  return `${textIn(record, "daemon") ?? log} decided ${verdict}${only}: ${message} (${textIn(record, "reason") ?? "?"})`;
}

function tellGates(gates: readonly ToldGate[], { all_gates, nowMs }: Telling): void {
  const passed = gates.filter((gate) => gate.passed);
  if (all_gates)
    for (const gate of passed) say(`    ${paint("green", "passed")} ${gateWords(gate)}: ${gate.sentence ?? ""}`, 6);
  else if (passed.length > 0) say(paint("dim", `    passed: ${passed.map(passedWords).join("; ")}`), 6);
  for (const gate of gates) {
    if (gate.passed) continue;
    say(`    ${paint("red", "failed")} ${gateWords(gate)}: it asks that ${gate.sentence ?? "it passes"}`, 6);
    say(`    ${changeWords(gate, nowMs)}`, 6);
  }
}

function gateWords({ gate, value, threshold }: ToldGate): string {
  return `${gate}, found ${words(value)}${threshold === null ? "" : `, wanted ${words(threshold)}`}`;
}

/** What would have to change, and until when it is so. */
function changeWords(gate: ToldGate, nowMs: number): string {
  const atMs = passesAtMs(gate);
  const later =
    atMs === null ? "" : `passes at ${localTime(atMs, nowMs)}${atMs > nowMs ? `, in ${span(atMs - nowMs)}` : ""}`;
  const needs = gate.remedy === null ? "" : `needs ${gate.remedy}`;
  return [later, needs].filter((part) => part !== "").join("; or ") || "only a change of what was found helps";
}

/** What is true now, after all that. */
export function tellStanding({ state, attempt, pid, desired, reasons }: Standing): void {
  const who = [attempt === null ? "" : `attempt ${attempt}`, pid === null ? "" : `pid ${pid}`].filter(
    (part) => part !== "",
  );
  const wish = desired === null || desired === "running" ? "" : `, wanted ${desired}`;
  print(paint("bold", `now ${state}${wish}${who.length === 0 ? "" : ` (${who.join(", ")})`}`));
  for (const reason of reasons) say(`    ${reason}`, 6);
}

const clockOf = (atMs: number): string => new Date(atMs).toTimeString().slice(0, 8);
const dayOf = (atMs: number): string => new Date(atMs).toDateString();

function say(text: string, indent: number): void {
  print(wrap(text, Math.min(WIDTH_MAX, columns() ?? 80), " ".repeat(indent)));
}

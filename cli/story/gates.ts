/** Says a gate in words: what was found, what was wanted, until when, and what would have to change. @module */
import { gateEntry } from "../../lib/schema/catalogue.js";
import { readInstant } from "../../lib/schema/primitives.js";
import type { LogJson } from "../../lib/store/log-file.js";
import { localTime } from "../times.js";
import { type Step, textIn } from "./steps.js";

/** An instant as heald writes it; people are told the local time. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** A gate as `why --json` gives it: the record's fields, and the catalogue's words. */
export interface ToldGate {
  readonly gate: string;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly passed: boolean;
  readonly passes_at: string | null;
  /** What is so when it passes; null for a gate that this version does not know. */
  readonly sentence: string | null;
  /** For a gate that did not pass: what would have to change. */
  readonly remedy: string | null;
}

/** The gates of a decision, in the order in which they were asked. */
export function gatesOf(step: Step): ToldGate[] {
  const daemon = textIn(step.record, "daemon") ?? step.log;
  const gates = Array.isArray(step.record.gates) ? (step.record.gates as unknown[]) : [];
  return gates
    .filter((gate): gate is LogJson => typeof gate === "object" && gate !== null)
    .map((gate) => toldGate(gate, daemon, step.record));
}

function toldGate(gate: LogJson, daemon: string, record: LogJson): ToldGate {
  const name = textIn(gate, "gate") ?? "?";
  const entry = gateEntry(daemon, name);
  const passed = gate.passed === true;
  return {
    gate: name,
    value: gate.value ?? null,
    threshold: gate.threshold ?? null,
    passed,
    passes_at: textIn(gate, "passes_at"),
    sentence: entry?.sentence ?? null,
    remedy: passed || entry === null ? null : remedyOf(entry.remedy, gate, record),
  };
}

/** What would have to change for a gate to pass, with the names of what it is about. */
function remedyOf(remedy: string, gate: LogJson, record: LogJson): string {
  return filled(remedy, {
    value: words(gate.value),
    wanted: words(gate.threshold),
    worker: textIn(record, "subject") ?? "the worker",
    subject: textIn(record, "subject") ?? "it",
    type: typeOf(record) ?? "its type",
  });
}

/** The remedy of a gate at which a request waits, as its file says it. */
export function remedyOfWait(gate: string, worker: string, type: string): string | null {
  const entry = gateEntry("worker-restart", gate);
  if (entry === null) return null;
  return filled(entry.remedy, { value: "that it names", wanted: "what it is", worker, subject: worker, type });
}

function filled(text: string, names: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole);
}

function typeOf(record: LogJson): string | null {
  const event = record.event as LogJson | undefined;
  const slice = record.slice as { worker?: { spec?: LogJson; worker_type?: unknown } | null } | undefined;
  const types = [event?.worker_type, slice?.worker?.worker_type, slice?.worker?.spec?.worker_type];
  return (types.find((type) => typeof type === "string") as string | undefined) ?? null;
}

/** `retries 1 (wanted 3)`, or the value alone where what was wanted says no more. */
export function passedWords({ gate, value, threshold }: ToldGate): string {
  const wanted = threshold === null || words(threshold) === words(value) ? "" : ` (wanted ${words(threshold)})`;
  return `${gate} ${words(value)}${wanted}`;
}

/** A value of a gate on one line; lists and objects without the marks of JSON. */
export function words(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "string") return INSTANT.test(value) ? localTime(Date.parse(value), Date.now()) : value;
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(words).join(", ");
  if (typeof value === "object")
    return Object.entries(value)
      .map(([name, each]) => `${name} ${words(each)}`)
      .join(", ");
  return String(value);
}

/** When a gate passes by itself, milliseconds; null if it does not. */
export function passesAtMs({ passes_at }: ToldGate): number | null {
  return passes_at === null ? null : readInstant(passes_at);
}

/** `heald metric`: one sample from a script, a cron job or a load balancer's check. @module */
import { UsageError } from "../../lib/errors.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { isMetricName, METRICS_MAX, type SampleRecord } from "../../lib/schema/samples.js";
import type { Layout } from "../../lib/store/layout.js";
import { EventLogWriter } from "../../lib/store/logs.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForWriting } from "../home.js";
import { checkedId, flagOption, textOption } from "../options.js";
import { print, printJson } from "../screen.js";
import { readSince } from "../times.js";

/** A sample from later than this would count as news for ever. */
const FUTURE_MS_MAX = 60_000;

export const command: CommandDefinition = {
  summary: "append a sample of a worker or a component",
  description:
    "Appends one line to coordination/metrics/samples.jsonl, where healing policies read it. A component is whatever a policy's scope names: a service, a host, a queue; the id of an active worker makes it that worker's sample.",
  arguments: "<component> <name=value...>",
  options: [
    { flags: "--at <time>", description: "when it was measured: a time, or an age such as 90s (default: now)" },
    JSON_OPTION,
  ],
  examples: [
    "heald metric checkout-api latency_p99=512.5 error_rate=0.02",
    "heald metric worker-scan-1 queue_depth=17 --at 30s",
  ],
  run: append,
};

function append(call: Call): undefined {
  const [component = "", ...pairs] = call.args;
  const id = checkedId(component, "A component");
  const metrics = metricsFrom(pairs);
  const nowMs = Date.now();
  const atMs = instantFrom(call, nowMs);
  const layout = openForWriting(call, ({ metricsDir }) => [metricsDir]);
  const record: SampleRecord = {
    timestamp: writeInstant(atMs),
    at_ms: Math.round(atMs),
    ...subjectOf(layout, id, nowMs),
    metrics,
  };
  const writer = new EventLogWriter(layout.samples, { maxBytes: 0, archiveDir: layout.archiveDir, owner: false });
  writer.append(record);
  writer.close();
  if (flagOption(call.options, "json")) printJson(record);
  else print(`${id}  ${pairs.join(" ")}`);
}

/** The sample of an active worker carries what the monitor's own samples carry. */
function subjectOf(layout: Layout, id: string, nowMs: number): Partial<SampleRecord> {
  const reading = new SpecStore(layout).readActive(id, nowMs);
  if (reading.kind !== "ok") return { component: id };
  const { worker_type } = reading.value;
  return { worker_id: id, ...(worker_type ? { worker_type } : {}), attempt: attemptOf(reading.value) };
}

/** @throws {UsageError} If a pair is none, a name cannot be used or comes twice, or a value is no finite number. */
function metricsFrom(pairs: readonly string[]): Record<string, number> {
  if (pairs.length === 0) throw new UsageError("At least one name=value must be given");
  if (pairs.length > METRICS_MAX)
    throw new UsageError(`At most ${METRICS_MAX} metrics fit a sample, got ${pairs.length}`);
  const metrics = new Map<string, number>();
  for (const pair of pairs) {
    const split = pair.indexOf("=");
    const name = pair.slice(0, Math.max(0, split));
    const text = pair.slice(split + 1).trim();
    if (split < 1) throw new UsageError(`A metric must be name=value, got ${JSON.stringify(pair)}`);
    if (!isMetricName(name))
      throw new UsageError(
        `A metric's name must match ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$ and be no name that every object has, got ${JSON.stringify(name)}`,
      );
    if (metrics.has(name)) throw new UsageError(`Metric ${JSON.stringify(name)} is given twice`);
    const value = text === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(value))
      throw new UsageError(`Metric ${JSON.stringify(name)} must be a finite number, got ${JSON.stringify(text)}`);
    metrics.set(name, value);
  }
  return Object.fromEntries(metrics);
}

function instantFrom(call: Call, nowMs: number): number {
  const text = textOption(call.options, "at");
  if (text === undefined) return nowMs;
  const atMs = readSince(text, "--at", nowMs);
  if (atMs > nowMs + FUTURE_MS_MAX) throw new UsageError(`--at must not be in the future, got ${JSON.stringify(text)}`);
  return atMs;
}

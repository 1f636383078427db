/** The lines of `metrics/samples.jsonl`: what a worker or a component measured, and how its beats were spaced. @module */
import { z } from "zod";
import { attemptSchema, idSchema, instantSchema } from "./primitives.js";

/** A sample carries at most so many numbers; more are left out. */
export const METRICS_MAX = 64;

const METRIC_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Whether a text may name a metric: never one of the names that a JavaScript object has by birth. */
export function isMetricName(name: string): boolean {
  return METRIC_NAME.test(name) && !(name in Object.prototype) && name !== "prototype";
}

/** The finite numbers of what a worker reports, under names that can be used as they are; at most {@link METRICS_MAX}. */
export function numbersOf(metrics: unknown): Readonly<Record<string, number>> {
  if (typeof metrics !== "object" || metrics === null || Array.isArray(metrics)) return {};
  const numbers: Record<string, number> = {};
  let left = METRICS_MAX;
  for (const [name, value] of Object.entries(metrics)) {
    if (typeof value !== "number" || !Number.isFinite(value) || !isMetricName(name)) continue;
    if (left-- === 0) break;
    numbers[name] = value;
  }
  return numbers;
}

export const metricsSchema = z.record(
  z.string().refine(isMetricName, { error: "must match ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$" }),
  z.number(),
);

/** One sample: of a worker, or of a component that is no worker. */
export const sampleSchema = z.looseObject({
  timestamp: instantSchema,
  at_ms: z.number().nullish(),
  worker_id: idSchema.nullish(),
  component: idSchema.nullish(),
  worker_type: idSchema.nullish(),
  attempt: attemptSchema.nullish(),
  metrics: metricsSchema,
});
export type SampleRecord = z.infer<typeof sampleSchema>;

/** The gaps between the beats of one worker in one hour; lines of the same worker and hour add up. */
export const gapsSchema = z.looseObject({
  kind: z.literal("gaps"),
  timestamp: instantSchema,
  at_ms: z.number().nullish(),
  worker_id: idSchema,
  worker_type: idSchema.nullish(),
  attempt: attemptSchema.nullish(),
  hour: instantSchema,
  interval_seconds: z.number(),
  buckets: z.array(z.tuple([z.number().min(0), z.number().int().min(1)])),
});

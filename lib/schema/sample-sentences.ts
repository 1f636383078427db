/** What the two kinds of line in `metrics/samples.jsonl` are and what each field says. @module */
import type { DescribedRecord } from "./described.js";
import { gapsSchema, sampleSchema } from "./samples.js";
import { WORKER } from "./worker-sentences.js";

export const SAMPLE_RECORDS: readonly DescribedRecord[] = [
  {
    name: "sample",
    path: "metrics/samples.jsonl",
    title: "Sample",
    description: "What a worker used and reported in one minute, or what somebody measured of a component.",
    schema: sampleSchema,
    fields: {
      ...WORKER,
      timestamp: "When it was taken.",
      at_ms: "The same in milliseconds.",
      component: "What was measured, where that is no worker.",
      metrics: "At most 64 finite numbers by name.",
    },
  },
  {
    name: "gaps",
    path: "metrics/samples.jsonl",
    title: "Gaps between beats",
    description: "How the beats of one worker were spaced in one hour. Lines of the same worker and hour add up.",
    schema: gapsSchema,
    fields: {
      ...WORKER,
      kind: "gaps: tells the line from a sample.",
      timestamp: "When it was written: when the hour was over, or when the monitor stopped.",
      at_ms: "The same in milliseconds.",
      hour: "When the hour began.",
      interval_seconds: "The interval in which beats were expected.",
      buckets:
        "The shortest gap of each bucket in milliseconds, and how many gaps fell into it. Neighbours differ by 19 %.",
    },
  },
];

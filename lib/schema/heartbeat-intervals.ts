/** What the start of a worker needs of `heartbeat-policy.json`, the monitor's own policy; the rest is passed over. @module */
import { z } from "zod";
import { positiveSeconds } from "./primitives.js";

const ownSchema = z.looseObject({ heartbeat_interval_seconds: positiveSeconds.optional() });

export const heartbeatIntervalsSchema = ownSchema.extend({ overrides: z.record(z.string(), ownSchema).optional() });

export type HeartbeatIntervals = z.infer<typeof heartbeatIntervalsSchema>;

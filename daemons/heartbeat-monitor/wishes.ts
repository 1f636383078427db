/** What a person wants of a worker. @module */
import type { WorkerPart } from "./facts.js";

/** What a person wants of the worker other than that it runs. */
export type Wish = "stopped" | "draining" | "cancelled";

export function wishFor(worker: WorkerPart): Wish | null {
  if (worker.spec.status === "cancelled") return "cancelled";
  return worker.desired === "running" ? null : worker.desired;
}

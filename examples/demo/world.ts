/** Everything that a scene acts on and an outcome is judged by. @module */
import type { Chronicle } from "../shared/chronicle.js";
import type { Daemons } from "../shared/daemons.js";
import type { Fleet } from "../shared/fleet.js";
import type { DemoStage } from "./stage.js";

/** What the demo did and saw itself, beside the files. Instants are wall-clock milliseconds. */
export interface Notes {
  /** When each worker was made to fail. */
  readonly faultAtMs: Map<string, number>;
  /** What `heald workers` showed for the paused worker while it was paused. */
  pausedShown: string | null;
  ledgerMendedAtMs: number | null;
  daemonsKilledAtMs: number | null;
  daemonsBackAtMs: number | null;
  outageFromMs: number | null;
  outageToMs: number | null;
}

export interface World {
  readonly stage: DemoStage;
  readonly fleet: Fleet;
  readonly daemons: Daemons;
  readonly chronicle: Chronicle;
  readonly notes: Notes;
  /** Shows what the demo itself does now. */
  readonly say: (kind: "demo" | "fault", text: string) => void;
  readonly heading: (text: string) => void;
  /** Reads the logs now, and shows what is new in them. */
  readonly refresh: () => void;
  /** Shows what a command printed. */
  readonly show: (output: string) => void;
}

export const newNotes = (): Notes => ({
  faultAtMs: new Map(),
  pausedShown: null,
  ledgerMendedAtMs: null,
  daemonsKilledAtMs: null,
  daemonsBackAtMs: null,
  outageFromMs: null,
  outageToMs: null,
});

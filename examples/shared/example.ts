/** What an example is: a stage with policies and workers, a story, and a table of what should come of it. @module */
import type { Chronicle } from "./chronicle.js";
import type { Daemons } from "./daemons.js";
import type { Fleet } from "./fleet.js";
import type { Kind } from "./screen.js";
import type { Stage } from "./stage.js";

/** Everything that a story acts on and an outcome is judged by. */
export interface World {
  readonly stage: Stage;
  readonly fleet: Fleet;
  readonly daemons: Daemons;
  readonly chronicle: Chronicle;
  /** Shows what the example itself does now. */
  readonly say: (kind: Kind, text: string) => void;
  /** Shows what a command or a file says, indented. */
  readonly show: (output: string) => void;
  /**
   * Waits for a condition of the files or of the events, which are read anew before each look.
   *
   * @throws {Error} If it did not come true within the bound; the example is broken off.
   */
  readonly until: (what: string, condition: () => boolean, boundSeconds?: number) => Promise<void>;
}

export interface Finding {
  readonly ok: boolean;
  readonly happened: string;
}

export interface Outcome {
  readonly what: string;
  readonly expected: string;
  readonly judge: (world: World) => Finding;
}

export interface Example {
  /** The folder's name. */
  readonly name: string;
  readonly title: string;
  /** Writes policies and templates, before anything is started. */
  readonly prepare: (stage: Stage) => void | Promise<void>;
  /** Runs while the daemons do, until there is nothing more to wait for. */
  readonly play: (world: World) => Promise<void>;
  readonly outcomes: readonly Outcome[];
  /** Files of the home that are worth a look afterwards. */
  readonly look: readonly string[];
  /** Ends what the story started outside of the home: a server, for example. */
  readonly close?: () => Promise<void>;
}

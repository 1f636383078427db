/** Whether the host goes down, for a daemon that then puts off what it would do. @module */
import { type HostState, HostWatch, type HostWatchOptions, hasSystemd } from "../platform/host-watch.js";
import { everySeconds } from "../platform/seconds.js";
import type { Source } from "./daemon.js";

const LOOK_EVERY_SECONDS = 5;
/** A unit that starts or stops is a hint at once. Without one the answer may be this old: whoever has nothing in hand asks little. */
const SELDOM_MS = 60_000;

export interface HostSourceOptions extends Omit<HostWatchOptions, "onChange"> {
  readonly hasSystemd?: () => boolean;
}

/** To be the first of a daemon's sources: whoever starts while the host goes down must know it before it hears of anything to do. */
export class HostSource implements Source {
  readonly name = "host";
  readonly #onChange: () => void;
  readonly #options: HostSourceOptions;
  #watch: HostWatch | null = null;
  #endLooks: () => void = () => {};

  /** @param onChange Called when the host begins to stop, and when that was called off. */
  constructor(onChange: () => void, options: HostSourceOptions = {}) {
    this.#onChange = onChange;
    this.#options = options;
  }

  /** As of the latest answer; `unknown` where no systemd runs, which is not asked for again: it is the first of all processes or none. */
  get state(): HostState {
    return this.#watch?.state ?? "unknown";
  }

  async start(): Promise<void> {
    const { hasSystemd: isThere = hasSystemd, ...options } = this.#options;
    if (!isThere()) return;
    let before: HostState = "unknown";
    const watch = new HostWatch({
      seldomMs: SELDOM_MS,
      ...options,
      onChange: () => {
        const wasStopping = before === "stopping";
        before = watch.state;
        if (wasStopping || before === "stopping") this.#onChange();
      },
    });
    this.#watch = watch;
    watch.look();
    this.#endLooks = everySeconds(LOOK_EVERY_SECONDS, () => this.#look(watch));
    await watch.first;
  }

  stop(): void {
    this.#endLooks();
    this.#watch?.close();
  }

  /** A shutdown that is called off need not start or stop any unit. */
  #look(watch: HostWatch): void {
    if (watch.state === "stopping") watch.want();
    else watch.look();
  }
}

/** Whether the host goes down, for a daemon that then puts off what it would do. @module */
import { type HostState, HostWatch, type HostWatchOptions, hasSystemd } from "../platform/host-watch.js";
import type { Source } from "./daemon.js";

const LOOK_MS = 5000;
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
  #timer: NodeJS.Timeout | null = null;

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
    this.#timer = setInterval(() => this.#look(watch), LOOK_MS);
    await watch.first;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#watch?.close();
  }

  /** A shutdown that is called off need not start or stop any unit. */
  #look(watch: HostWatch): void {
    if (watch.state === "stopping") watch.want();
    else watch.look();
  }
}

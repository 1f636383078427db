/**
 * Counts deaths by task: a task that kills every worker it is given to is found, whoever the workers were.
 * @module
 */

export interface PoisonPolicy {
  /** Deaths that make a task poison. */
  readonly deaths: number;
  /** Within this time. */
  readonly window_seconds: number;
}

export interface TaskDeath {
  readonly worker_id: string;
  readonly at_ms: number;
}

/** The tasks that have cost a worker, least recently struck first; plain JSON. */
export interface PoisonState {
  readonly tasks: readonly { readonly task_id: string; readonly deaths: readonly TaskDeath[] }[];
}

export const POISON_NONE: PoisonState = { tasks: [] };

/** Tasks remembered; beyond it, the one whose last death is longest ago is forgotten. */
export const POISON_TASKS_MAX = 2_000;

/** Deaths remembered for a task as its evidence, where the policy asks for fewer. */
const DEATHS_KEPT_MIN = 10;

/**
 * Records that a worker died with a task in hand.
 *
 * The same worker at the same instant is the same death: a record that is read twice counts once. Which deaths count
 * is the caller's choice; those that we caused ourselves, and a host's reboot, are not a task's fault.
 */
export function recordDeath(
  state: PoisonState,
  taskId: string,
  workerId: string,
  atMs: number,
  policy: PoisonPolicy,
): PoisonState {
  const earlier = state.tasks.find((task) => task.task_id === taskId)?.deaths ?? [];
  if (earlier.some((death) => death.worker_id === workerId && death.at_ms === atMs)) return state;
  const lastAtMs = Math.max(atMs, ...earlier.map((death) => death.at_ms));
  const deaths = [...earlier, { worker_id: workerId, at_ms: atMs }]
    .filter((death) => death.at_ms > lastAtMs - policy.window_seconds * 1000)
    .sort((a, b) => a.at_ms - b.at_ms)
    .slice(-Math.max(DEATHS_KEPT_MIN, policy.deaths));
  const others = state.tasks.filter((task) => task.task_id !== taskId);
  return { tasks: [...others, { task_id: taskId, deaths }].slice(-POISON_TASKS_MAX) };
}

/** The deaths that count against a task now, oldest first: the evidence for its quarantine. */
export function deathsOf(
  state: PoisonState,
  taskId: string,
  nowMs: number,
  policy: PoisonPolicy,
): readonly TaskDeath[] {
  const deaths = state.tasks.find((task) => task.task_id === taskId)?.deaths ?? [];
  return deaths.filter((death) => death.at_ms > nowMs - policy.window_seconds * 1000);
}

/** Tells whether a task has killed as many workers as the policy tolerates. A limit of 0 switches the check off. */
export function isPoisoned(state: PoisonState, taskId: string, nowMs: number, policy: PoisonPolicy): boolean {
  return policy.deaths > 0 && deathsOf(state, taskId, nowMs, policy).length >= policy.deaths;
}

/** Forgets a task's deaths: a person has mended it, or a worker has finished it. */
export function forgive(state: PoisonState, taskId: string): PoisonState {
  return { tasks: state.tasks.filter((task) => task.task_id !== taskId) };
}

/**
 * Looks whether what a worker requires is there: a path, an address that answers, a live worker of another type.
 *
 * One place for all who start attempts: `heald spawn` refuses, worker-restart puts the request back.
 * @module
 */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { resolve } from "node:path";
import type { Requirement } from "../schema/worker-spec.js";
import type { Layout } from "../store/layout.js";
import type { SpecStore } from "../store/specs.js";
import { isActiveAlive } from "./attempts.js";

export interface Required {
  readonly what: string;
  readonly met: boolean;
}

const CONNECT_MS = 1000;

/** Asks each requirement. Only addresses take time; without one the answer comes at once. */
export function askRequirements(
  layout: Layout,
  specs: SpecStore,
  requires: readonly Requirement[],
  nowMs: number,
): readonly Required[] | Promise<readonly Required[]> {
  const answers = requires.map((each) => askOne(layout, specs, each, nowMs));
  return answers.some((answer) => answer instanceof Promise) ? Promise.all(answers) : (answers as Required[]);
}

function askOne(
  layout: Layout,
  specs: SpecStore,
  requirement: Requirement,
  nowMs: number,
): Required | Promise<Required> {
  if (typeof requirement.tcp === "string") return askAddress(requirement.tcp);
  if (typeof requirement.path === "string") {
    const path = resolve(layout.home.home, requirement.path);
    return { what: `path ${requirement.path}`, met: existsSync(path) };
  }
  const type = String(requirement.worker_type);
  return { what: `a running ${type}`, met: isTypeRunning(layout, specs, type, nowMs) };
}

function isTypeRunning(layout: Layout, specs: SpecStore, workerType: string, nowMs: number): boolean {
  return specs.listActive().some((workerId) => {
    const reading = specs.readActive(workerId, nowMs);
    if (reading.kind !== "ok" || reading.value.worker_type !== workerType) return false;
    return isActiveAlive(layout, reading.value, nowMs) === true;
  });
}

function askAddress(address: string): Promise<Required> {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  const what = `tcp ${address}`;
  return new Promise((done) => {
    const socket = connect({ host, port: Number(address.slice(at + 1)), timeout: CONNECT_MS });
    const answer = (met: boolean): void => {
      socket.destroy();
      done({ what, met });
    };
    socket.once("connect", () => answer(true));
    socket.once("timeout", () => answer(false));
    socket.once("error", () => answer(false));
  });
}

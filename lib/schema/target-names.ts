/** Names that the tools of targets would understand as something else than one service. Pure, for loading and for acting. @module */
import type { TargetKind } from "./fix-actions.js";

const UNIT = /^[A-Za-z0-9][A-Za-z0-9@._:-]{0,127}$/;
const OTHER_UNIT = /\.(?:target|socket|timer|mount|automount|swap|path|slice|scope|device)$/;
/** Units that end the system, or on which it stands; a healer that restarts itself never sees what came of it. */
const NOT_OURS = /^(?:systemd-.*|dbus(?:-broker)?|init|emergency|rescue|user@.*|heald-auto-fix)(?:\.service)?$/;

const APP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** pm2 takes such a name for a file that says what to start. */
const ECOSYSTEM_FILE = /\.(?:json|[cm]?js|ya?ml)$/i;

/** Why a target cannot have a service of this name; null if it can. Goes on after the name. */
export function whyNoService(target: TargetKind, name: string): string | null {
  if (target === "systemd") return whyNoUnit(name);
  return target === "pm2" ? whyNoApp(name) : null;
}

function whyNoUnit(name: string): string | null {
  if (!UNIT.test(name)) return "is no name of a unit";
  if (OTHER_UNIT.test(name)) return "is a unit of another kind: only services are restarted";
  return NOT_OURS.test(name) ? "is a unit that heald does not restart" : null;
}

function whyNoApp(name: string): string | null {
  if (!APP.test(name)) return "is no name of an app";
  if (name === "all") return "means every app to pm2";
  if (/^\d+$/.test(name)) return "is a number, which pm2 takes for an id";
  return ECOSYSTEM_FILE.test(name) ? "is a file to pm2, not an app" : null;
}

/**
 * The four daemons for pm2: `pm2 start systemd/ecosystem.config.cjs`. docs/pm2.md says what pm2 can and cannot do here.
 *
 * pm2 runs node as it would any program (`interpreter: "none"`): its own wrapper around a script would stand in the
 * command line by which a daemon is known, and would speak to it over a channel that nobody listens to.
 */
const { existsSync } = require("node:fs");
const { join } = require("node:path");

const root = join(__dirname, "..");
const home = process.env.HEALD_HOME || "/var/lib/heald";

const daemon = (name) => {
  const main = join(root, "dist", "daemons", name, "main.js");
  if (!existsSync(main)) throw new Error(`${main} is not there; run: npm ci && npm run build`);
  return {
    name: `heald-${name}`,
    namespace: "heald",
    script: process.execPath,
    interpreter: "none",
    args: [main, "--console", "none"],
    cwd: root,
    env: { HEALD_HOME: home },
    exec_mode: "fork",
    instances: 1,
    // Workers are descendants of a daemon, and pm2 would end the whole tree.
    treekill: false,
    // A daemon stops within a second; after this pm2 sends SIGKILL, to the daemon alone.
    kill_timeout: 10_000,
    autorestart: true,
    // 2 wrong usage, 4 another host's home, 75 already running, 78 configuration.
    stop_exit_codes: [0, 2, 4, 75, 78],
    // Growing waits instead of a count after which pm2 would give up.
    exp_backoff_restart_delay: 1000,
    // A daemon reads its policy again by itself; and its folder is full of files that change.
    watch: false,
    vizion: false,
  };
};

module.exports = { apps: ["heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix"].map(daemon) };

// All mailboxes of a test process, each on a port of its own. A line on standard input asks for one, with the
// path of what it holds: {"open": PATH}; its port is told on a file descriptor of the parent's. {"close": PORT}
// ends it.
"use strict";
const fs = require("fs");
const net = require("net");
const readline = require("readline");
const { pathToFileURL } = require("url");

const servers = new Map();
const listen = net.Server.prototype.listen;

// The emulator has no option for any of this: its servers listen on a free port of 127.0.0.1 alone, and keep
// idle connections open.
net.Server.prototype.listen = function (...given) {
  const callback = given.find((argument) => typeof argument === "function");
  this.keepAliveTimeout = 0;
  this.once("listening", () => {
    const { port } = this.address();
    servers.set(port, this);
    fs.writeSync(Number(process.env.LISTENING_FD), `${port}\n`);
  });
  return listen.call(this, { host: "127.0.0.1", port: 0 }, ...(callback ? [callback] : []));
};

async function main() {
  const { createEmulator } = await import(pathToFileURL(process.argv[2]).href);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    if (asked.open) {
      await createEmulator({ service: "google", seed: JSON.parse(fs.readFileSync(asked.open, "utf8")) });
    } else {
      servers.get(asked.close).close();
      servers.get(asked.close).closeAllConnections();
      servers.delete(asked.close);
    }
  }
  process.exit(0);
}

main();

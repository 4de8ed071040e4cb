// Loaded before the emulator, which has no option for any of this: its server listens on a free port of
// 127.0.0.1 alone, tells that port on a file descriptor of the parent's, and keeps idle connections open.
"use strict";
const fs = require("fs");
const net = require("net");

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...given) {
  const callback = given.find((argument) => typeof argument === "function");
  this.keepAliveTimeout = 0;
  this.once("listening", () => {
    fs.writeSync(Number(process.env.LISTENING_FD), `${this.address().port}\n`);
  });
  return listen.call(this, { host: "127.0.0.1", port: 0 }, ...(callback ? [callback] : []));
};

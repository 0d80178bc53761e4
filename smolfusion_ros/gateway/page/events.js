/** The robot's events: connects, connects again when the line breaks, and tells each event to who wants it. */

import { call } from "./api.js";
import { sleep } from "./dom.js";
import { serverSentEvents } from "./streams.js";

const STATE = ["scene", "motion", "performance", "diagnostics", "emergency_stop", "keyframe"];
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
// The gateway says something every 15 s.
const SILENT_AFTER_MS = 40_000;
const STEADY_AFTER_MS = 5_000;

/**
 * `on("scene" | … , take)`: each kind of event of /stream; a snapshot is told as its parts, where null means that the
 * robot has not told of it, "turns" and "commands". `on("connection", …)`: `state` is "open", "hidden" (nobody looks), or
 * "lost", with `reason` and `waitMs` until the next try.
 */
export class Feed {
  #takers = new Map();
  #wake = new AbortController();

  on(name, take) {
    this.#takers.set(name, [...(this.#takers.get(name) ?? []), take]);
  }

  /** Connect for as long as the page is open and visible: a browser opens only six connections to one robot. */
  async start() {
    document.addEventListener("visibilitychange", () => this.retryNow());
    let waitMs = FIRST_WAIT_MS;
    for (;;) {
      await visible();
      const begun = performance.now();
      const reason = await this.#read();
      if (document.hidden) {
        this.#tell("connection", { state: "hidden", reason: "", waitMs: 0 });
        continue;
      }
      if (performance.now() - begun > STEADY_AFTER_MS) waitMs = FIRST_WAIT_MS;
      const jittered = Math.max(waitMs * (0.8 + 0.4 * Math.random()), 1000 * (reason.retryAfterS ?? 0));
      this.#tell("connection", { state: "lost", reason: reason.message, waitMs: jittered });
      this.#wake = new AbortController();
      await sleep(jittered, this.#wake.signal);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    }
  }

  /** Do not wait any longer for the next try. */
  retryNow() {
    this.#wake.abort();
  }

  /** Until the line breaks; why it did. */
  async #read() {
    const broken = new AbortController();
    const hide = () => document.hidden && broken.abort();
    document.addEventListener("visibilitychange", hide);
    let timer = 0;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => broken.abort(), SILENT_AFTER_MS);
    };
    try {
      listen();
      const response = await call("stream", { headers: { Accept: "text/event-stream" }, signal: broken.signal });
      for await (const event of serverSentEvents(response.body)) {
        listen();
        if (event.name !== "comment") this.#take(event.name, JSON.parse(event.data));
      }
      return new Error("the robot ended the connection");
    } catch (error) {
      return error.name === "AbortError" ? new Error("the robot is silent") : error;
    } finally {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", hide);
    }
  }

  #take(name, value) {
    if (name !== "snapshot") {
      this.#tell(name, value);
      return;
    }
    this.#tell("connection", { state: "open", reason: "", waitMs: 0 });
    for (const kind of STATE) this.#tell(kind, value[kind]);
    this.#tell("turns", value.turns);
    this.#tell("commands", value.commands);
  }

  #tell(name, value) {
    for (const take of this.#takers.get(name) ?? []) {
      try {
        take(value);
      } catch (error) {
        // One part's trouble must not blind the others.
        console.error(name, error);
      }
    }
  }
}

function visible() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/** What was said: all conversations or one, as it comes; and a line to type in. */

import { call, json, posted } from "./api.js";
import { announce, byId, html, painter, repeat } from "./dom.js";
import { sessionPicker } from "./sessions.js";
import { serverSentEvents } from "./streams.js";
import { Turns } from "./turns.js";
import { turnTemplate } from "./turn.js";

const HISTORY = 50;
const AT_END_PX = 40;

/**
 * @param {import("./events.js").Feed} feed
 * @param {import("./clock.js").RobotClock} clock
 */
export function chatPanel(feed, clock) {
  const turns = new Turns();
  const list = byId("turns");
  const input = byId("words");
  const asking = new Map();
  let isAtEnd = true;
  list.addEventListener("scroll", () => {
    isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < AT_END_PX;
  });

  const picker = sessionPicker(byId("sessions"), (session) => {
    isAtEnd = true;
    paint();
    if (session) loadHistory(session);
  });
  const paint = painter(list, () => listTemplate(turns.of(picker.chosen), picker.chosen, cancel), () => {
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  });
  const cancel = (entry) => asking.get(entry)?.abort();

  async function loadHistory(session) {
    try {
      const path = `sessions/${encodeURIComponent(session)}?limit=${HISTORY}`;
      for (const turn of (await json(path)).turns) turns.onTurn(turn);
      paint();
    } catch (error) {
      // One that was begun here is unknown to the robot until something is said in it.
      if (error.status !== 404) announce(`The history is not there: ${error.message}`);
    }
  }

  async function say(text) {
    const entry = turns.say(text, picker.chosen ?? "", clock.time || 0);
    const cancelled = new AbortController();
    asking.set(entry, cancelled);
    isAtEnd = true;
    paint();
    try {
      await answered(entry, { text, session_id: entry.session, stream: true }, cancelled.signal);
      announce(entry.error || `Robot: ${entry.said}`);
    } catch (error) {
      const reason = error.name === "AbortError" ? "cancelled" : error.message;
      turns.onFailure(entry, reason);
      announce(`No answer: ${reason}`);
    } finally {
      asking.delete(entry);
      paint();
    }
  }

  async function answered(entry, question, signal) {
    const response = await call("chat", posted(question, { signal, headers: { Accept: "text/event-stream" } }));
    for await (const { name, data } of serverSentEvents(response.body)) {
      const value = name === "comment" ? null : JSON.parse(data);
      if (name === "delta") turns.onDelta(entry, value.text);
      else if (name === "done") turns.onAnswer(entry, value);
      else if (name === "error") throw new Error(value.detail);
      paint();
      if (name === "done") return;
    }
    throw new Error("the connection broke while the robot was answering");
  }

  byId("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    say(text);
  });

  feed.on("turns", (told) => {
    for (const turn of told) turns.onTurn(turn);
    picker.load();
    paint();
  });
  feed.on("utterance", (utterance) => (turns.onUtterance(utterance), paint()));
  feed.on("reply", (reply) => (turns.onReply(reply), paint()));
  feed.on("turn", (turn) => {
    const isOwn = [...asking.keys()].some((entry) => entry.id === turn.id || entry.heard === turn.heard);
    if (turns.onTurn(turn) && !isOwn) announce(`${turn.heard}. Robot: ${turn.said}`);
    picker.heardOf(turn.session_id);
    paint();
  });
  paint();
}

function listTemplate(entries, session, cancel) {
  if (!entries.length) {
    return html`<p class="empty">Nothing was said yet. Try “please wave your left hand”.</p>`;
  }
  return html`<ol class="turns">
    ${repeat(
      entries,
      (entry) => entry.key,
      (entry) => turnTemplate(entry, session === null, () => cancel(entry)),
    )}
  </ol>`;
}

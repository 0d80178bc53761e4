/** What the robot was told to do, and what became of it: a card for each command, newest first. */

import { announce, byId, everySecond, html, nothing, painter, repeat } from "./dom.js";
import { argument, duration, timeOfDay, words } from "./format.js";

const MOST_CARDS = 30;
const MOST_STATES = 100;
const STOP_PRIORITY = 255;
// Shape and words say the same as the colour.
const STATES = {
  sent: { mark: "→", text: "Sent to the body", kind: "open" },
  accepted: { mark: "→", text: "Accepted", kind: "open" },
  running: { mark: "▶", text: "Running", kind: "open" },
  succeeded: { mark: "✓", text: "Succeeded", kind: "ok" },
  failed: { mark: "✕", text: "Failed", kind: "error" },
  rejected: { mark: "✕", text: "Rejected by the body", kind: "error" },
  cancelled: { mark: "–", text: "Cancelled", kind: "warning" },
  past: { mark: "·", text: "Sent before this page was open", kind: "open" },
  expired: { mark: "–", text: "Expired, the body said nothing", kind: "warning" },
};
const SOURCES = { llm: "by the language model", reflex: "by reflex", api: "by a program" };

/**
 * @param {import("./events.js").Feed} feed
 * @param {import("./clock.js").RobotClock} clock
 */
export function commandsPanel(feed, clock) {
  let cards = [];
  const states = new Map();
  const paint = painter(byId("commands"), () => {
    if (!cards.length) return html`<p class="empty">No command yet</p>`;
    return html`<ol class="cards">
      ${repeat(
        cards,
        ({ id }) => id,
        (command) => card(command, states.get(command.id), clock),
      )}
    </ol>`;
  });
  const add = (command, isPast = false) => {
    if (cards.some(({ id }) => id === command.id)) return;
    cards = [{ ...command, isPast }, ...cards].sort((first, second) => second.stamp - first.stamp).slice(0, MOST_CARDS);
    paint();
  };
  // What became of those was told to others, unless the gateway heard it.
  feed.on("turns", (turns) => turns.flatMap((turn) => turn.commands).forEach((command) => add(command, true)));
  // The gateway heard of these all the while, so what it knows is all there is.
  feed.on("commands", (given) => {
    for (const { command, status } of given) {
      if (status) states.set(command.id, status);
      cards = cards.filter(({ id }) => id !== command.id);
      add(command);
    }
  });
  feed.on("turn", (turn) => turn.commands.forEach((command) => add(command)));
  feed.on("command", (command) => add(command));
  feed.on("status", (status) => {
    states.set(status.command_id, status);
    if (states.size > MOST_STATES) states.delete(states.keys().next().value);
    const command = cards.find(({ id }) => id === status.command_id);
    if (command) announce(`${words(command.name)}: ${STATES[status.state]?.text ?? status.state}`);
    paint();
  });
  everySecond(paint);
  paint();
}

function card(command, status, clock) {
  const age = clock.age(command.stamp);
  const silent = command.isPast ? "past" : age > command.lifetime_s ? "expired" : "sent";
  const state = status?.state ?? silent;
  const { mark, text, kind } = STATES[state] ?? { mark: "?", text: state, kind: "warning" };
  const left = state === "sent" && !Number.isNaN(age) ? `, for ${duration(command.lifetime_s - age)} yet` : "";
  const told = Object.entries(command.arguments).map(([name, value]) => argument(name, value));
  return html`<li class="card ${command.priority >= STOP_PRIORITY ? "urgent" : ""}" data-command=${command.name} data-state=${state}>
    <p class="name">${words(command.name)}</p>
    ${told.length
      ? html`<dl>${told.map(([name, value]) => html`<div><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`
      : nothing}
    <p class="state ${kind}"><span aria-hidden="true">${mark}</span> ${text}${left}</p>
    ${status?.detail ? html`<p class="detail" dir="auto">${status.detail}</p>` : nothing}
    <p class="note">
      <time>${timeOfDay(command.stamp)}</time> ${SOURCES[command.source] ?? command.source}${command.session_id
        ? html`, <span dir="auto">${command.session_id}</span>`
        : nothing}
    </p>
  </li>`;
}

/** One turn: who said what when, how it was answered, and how long that took. Pure. */

import { html, nothing } from "./dom.js";
import { duration, timeOfDay, words } from "./format.js";

const MARKS = { reflex: "Reflex: no model was asked", canned: "Canned: the language model is away" };

/**
 * @param {import("./turns.js").Entry} entry
 * @param {boolean} withSession several conversations are shown
 * @param {() => void} cancel ends an answer that is being written
 */
export function turnTemplate(entry, withSession, cancel) {
  const isOpen = entry.state === "waiting" || entry.state === "answering";
  return html`<li class="turn" data-turn=${entry.id} data-state=${entry.state}>
    <p class="by">
      <strong>${entry.isOwn ? "You" : "Person"}</strong> ${time(entry)}
      ${withSession && entry.session ? html`<span class="chip" dir="auto">${entry.session}</span>` : nothing}
    </p>
    <p class="heard" dir="auto">${entry.heard || "…"}</p>
    <p class="by"><strong>Robot</strong> ${took(entry.stages_s)} ${marks(entry)}</p>
    <p class="said" dir="auto">${entry.said}${isOpen ? html`<span class="writing">${entry.said ? "" : "thinking "}…</span>` : nothing}</p>
    ${isOpen && entry.isOwn ? html`<button type="button" class="quiet" @click=${cancel}>Cancel this answer</button>` : nothing}
    ${entry.error ? html`<p class="problem">No answer: ${entry.error}</p>` : nothing}
    ${entry.commands.length
      ? html`<p class="note">Told the body to: ${entry.commands.map(({ name }) => words(name).toLowerCase()).join(", ")}</p>`
      : nothing}
    ${entry.rejected.map((each) => html`<p class="problem">Not done: ${each}</p>`)}
  </li>`;
}

function time({ stamp }) {
  return stamp < Number.MAX_SAFE_INTEGER ? html`<time>${timeOfDay(stamp)}</time>` : nothing;
}

function took({ first_token: first, total }) {
  if (total === undefined) return nothing;
  const begun = first === undefined ? "" : `first word after ${duration(first)}, `;
  return html`<span class="note">${begun}all in ${duration(total)}</span>`;
}

function marks({ source, interrupted }) {
  return html`${source in MARKS ? html`<span class="chip mark">${MARKS[source]}</span>` : nothing}
  ${interrupted ? html`<span class="chip mark">Interrupted</span>` : nothing}`;
}

/** Chooses the conversation that is shown and talked in. */

import { json } from "./api.js";
import { html, nothing, painter } from "./dom.js";

const MOST = 100;
// No name of a conversation: those are printable.
const ALL = "\u001f";

/**
 * @param {HTMLElement} root
 * @param {(session: string | null) => void} onChosen null: all of them
 */
export function sessionPicker(root, onChosen) {
  const unread = new Map();
  let known = [];
  let chosen = null;
  let loading = false;

  const choose = (session) => {
    chosen = session;
    unread.delete(session);
    paint();
    onChosen(session);
  };
  const paint = painter(root, () => {
    return html`<label for="session">Show</label>
      <select id="session" @change=${(event) => choose(event.target.value === ALL ? null : event.target.value)}>
        <option value=${ALL} .selected=${chosen === null}>all conversations</option>
        ${known.map((name) => {
          const told = unread.has(name) ? ` (${unread.get(name)} new)` : "";
          return html`<option value=${name} .selected=${name === chosen}>${name}${told}</option>`;
        })}
      </select>
      <button type="button" class="quiet" @click=${begin}>New</button>
      ${chosen === null ? nothing : html`<span class="hidden">You talk in ${chosen}.</span>`}`;
  });
  const begin = () => {
    const name = `web-${crypto.getRandomValues(new Uint16Array(1))[0].toString(36).padStart(4, "0")}`;
    add(name);
    choose(name);
  };
  const add = (name) => {
    if (!name || known.includes(name)) return;
    known = [name, ...known].slice(0, MOST);
    paint();
  };
  paint();

  return {
    /** Name of the conversation; null: all. */
    get chosen() {
      return chosen;
    },

    /** Something was said in a conversation. */
    heardOf(name) {
      add(name);
      if (chosen === null || name === chosen) return;
      unread.set(name, (unread.get(name) ?? 0) + 1);
      paint();
    },

    /** Ask the robot which conversations it keeps. */
    async load() {
      if (loading) return;
      loading = true;
      try {
        const { sessions } = await json("sessions");
        for (const { session_id: name } of sessions.slice(0, MOST).reverse()) add(name);
      } catch {
        // Those that talk are heard of all the same.
      } finally {
        loading = false;
      }
    },
  };
}

/** Lights of the nodes and of the models' servers: shape, word and colour say the same. */

import { announce, byId, html, nothing, painter, repeat, render } from "./dom.js";
import { words } from "./format.js";

// Worst first.
const LEVELS = {
  error: { mark: "■", text: "Error" },
  stale: { mark: "◇", text: "Silent" },
  warning: { mark: "▲", text: "Warning" },
  ok: { mark: "●", text: "Well" },
};
const RANK = Object.keys(LEVELS);
const BACKENDS = { "llm backend": "Language model", "vlm backend": "Vision model" };

/** @param {import("./events.js").Feed} feed */
export function healthPanel(feed) {
  let told = null;
  let last = "";
  const paint = painter(byId("lights"), () => {
    return told?.length ? lightsTemplate(told) : html`<p class="empty">No node was heard of yet</p>`;
  });
  const wellness = byId("wellness");
  const sum = (isOpen) => {
    const level = told?.length && isOpen ? worst(told) : "stale";
    const text = !isOpen ? "Not connected" : !told?.length ? "No news yet" : summary(told);
    wellness.dataset.level = level;
    render(html`<span aria-hidden="true">${LEVELS[level].mark}</span> ${text}`, wellness);
    if (isOpen && told?.length) {
      if (last && last !== text) announce(`Health: ${text}`);
      last = text;
    }
  };
  feed.on("diagnostics", (diagnostics) => {
    told = diagnostics?.statuses ?? null;
    paint();
    sum(true);
  });
  feed.on("connection", ({ state }) => state !== "hidden" && sum(state === "open"));
  sum(false);
  paint();
}

function lightsTemplate(statuses) {
  const backends = statuses.filter(({ task }) => task in BACKENDS);
  const nodes = [...new Set(statuses.map(({ node }) => node))];
  return html`<ul class="lights">
    ${backends.map((each) => light(BACKENDS[each.task], each.level, [each], each.task))}
    ${repeat(
      nodes,
      (node) => node,
      (node) => {
        const tasks = statuses.filter((each) => each.node === node && !(each.task in BACKENDS));
        return tasks.length ? light(words(node), worst(tasks), tasks, node) : nothing;
      },
    )}
  </ul>`;
}

function light(name, level, tasks, key) {
  const { mark, text } = LEVELS[level];
  const told = [...tasks].sort((first, second) => RANK.indexOf(first.level) - RANK.indexOf(second.level));
  return html`<li data-light=${key} data-level=${level}>
    <details>
      <summary>
        <span class="light" data-level=${level}><span aria-hidden="true">${mark}</span> ${text}</span>
        <strong>${name}</strong>
        <span class="note" dir="auto">${level === "ok" ? "" : told[0].message}</span>
      </summary>
      ${told.map(
        (each) => html`<p class="task"><strong>${each.task}</strong>: ${LEVELS[each.level].text}. ${each.message}</p>
          <dl class="values">
            ${Object.entries(each.values).map(([key, value]) => html`<div><dt>${key}</dt><dd>${value}</dd></div>`)}
          </dl>`,
      )}
    </details>
  </li>`;
}

function worst(statuses) {
  return RANK.find((level) => statuses.some((each) => each.level === level)) ?? "ok";
}

function summary(statuses) {
  const counts = RANK.slice(0, 3).map((level) => statuses.filter((each) => each.level === level).length);
  const names = [["error", "errors"], ["silent", "silent"], ["warning", "warnings"]];
  const said = counts.map((count, at) => (count ? `${count} ${names[at][count === 1 ? 0 : 1]}` : ""));
  return said.filter(Boolean).join(", ") || "All well";
}

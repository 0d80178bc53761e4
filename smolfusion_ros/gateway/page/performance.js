/** How long each stage takes, and what every process costs. */

import { history, latencyBar, shareBar } from "./charts.js";
import { byId, html, nothing, painter } from "./dom.js";
import { bytes, milliseconds, percent, words } from "./format.js";

const REMEMBERED = 60;
const MOST_SERIES = 128;
const STAGES = {
  "dialogue.queue": "Waiting for its turn",
  "dialogue.prompt": "Preparing the prompt",
  "dialogue.first_token": "First word of an answer",
  "dialogue.generation": "Writing the answer",
  "dialogue.command": "First command",
  "dialogue.total": "A whole turn",
  "perception.vlm": "Vision model looks",
  "perception.scene": "From picture to scene",
};
const PROCESSES = { llm_backend: "Language model", vlm_backend: "Vision model" };

/** @param {import("./events.js").Feed} feed */
export function performancePanels(feed) {
  let report = null;
  const past = new Map();
  const remember = (key, value) => {
    const values = [...(past.get(key) ?? []), value].slice(-REMEMBERED);
    past.delete(key);
    past.set(key, values);
    if (past.size > MOST_SERIES) past.delete(past.keys().next().value);
  };
  const paintStages = painter(byId("stages"), () => stagesTemplate(report, past));
  const paintProcesses = painter(byId("processes"), () => processesTemplate(report, past));
  const paint = () => (paintStages(), paintProcesses());
  feed.on("performance", (told) => {
    report = told;
    for (const { name, p50_ms: p50 } of told?.stages ?? []) remember(`stage ${name}`, p50);
    for (const { name, cpu_percent: cpu } of told?.processes ?? []) remember(`process ${name}`, cpu);
    paint();
  });
  paint();
}

function stagesTemplate(report, past) {
  if (!report?.stages.length) return html`<p class="empty">No figures yet: they come with the first turn</p>`;
  return html`<table>
    <caption class="note">
      Half of all times are below the dark bar's end, 95 % below the light one's. Axis: 1 ms, 10, 100, 1 s, 10 s.
    </caption>
    <thead>
      <tr><th scope="col">Stage</th><th scope="col">Half</th><th scope="col">95 %</th><th scope="col">Spread</th><th scope="col">Half, lately</th></tr>
    </thead>
    <tbody>
      ${report.stages.map(
        ({ name, count, p50_ms: p50, p95_ms: p95 }) => html`<tr data-stage=${name}>
          <th scope="row" title="${name}, ${count} samples">${STAGES[name] ?? words(name.replace(".", ": "))}</th>
          <td class="figure">${milliseconds(p50)}</td>
          <td class="figure">${milliseconds(p95)}</td>
          <td>${latencyBar(p50, p95)}</td>
          <td>${history(past.get(`stage ${name}`) ?? [], REMEMBERED, "History")}</td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}

function processesTemplate(report, past) {
  if (!report) return html`<p class="empty">The monitor has not reported yet</p>`;
  const { gpu_percent: gpu, gpu_memory_bytes: gpuBytes } = report;
  const [cpu, memory] = ["cpu_percent", "memory_bytes"].map((key) => sum(report.processes, key));
  return html`<table>
      <caption class="note">CPU of one core; memory shared by several is counted once.</caption>
      <thead>
        <tr><th scope="col">Process</th><th scope="col">CPU</th><th scope="col">Memory</th><th scope="col">Use</th><th scope="col">CPU, lately</th></tr>
      </thead>
      <tbody>
        ${report.processes.map(
          (each) => html`<tr data-process=${each.name}>
            <th scope="row" title="process ${each.pid}, ${each.threads} threads, ${each.open_files} open files">${PROCESSES[each.name] ?? words(each.name)}</th>
            <td class="figure">${percent(each.cpu_percent / 100)}</td>
            <td class="figure">${bytes(each.memory_bytes)}</td>
            <td>${shareBar(each.cpu_percent / 100)}</td>
            <td>${history(past.get(`process ${each.name}`) ?? [], REMEMBERED, "History")}</td>
          </tr>`,
        )}
        <tr class="sum"><th scope="row">Together</th><td class="figure">${percent(cpu / 100)}</td><td class="figure">${bytes(memory)}</td><td></td><td></td></tr>
      </tbody>
    </table>
    ${gpu === null && gpuBytes === null
      ? nothing
      : html`<p class="note">GPU: ${gpu === null ? "load not known" : percent(gpu / 100)}${gpuBytes === null ? "" : `, ${bytes(gpuBytes)}`}</p>`}`;
}

function sum(items, key) {
  return items.reduce((total, each) => total + each[key], 0);
}

/** What the robot sees: the picture with what was recognised in it, the scene line, and the motion gate. */

import { byId, everySecond, html, nothing, painter } from "./dom.js";
import { trace } from "./charts.js";
import { duration, percent } from "./format.js";
import { objectWords, overlay, personWords, scaled } from "./overlay.js";
import { Picture } from "./picture.js";

const TRACE_MS = 60_000;
const NO_CAMERA_AFTER_MS = 3000;
const SOURCES = { vlm: "vision model", detector: "faces only: the vision model is away" };

/**
 * @param {import("./events.js").Feed} feed
 * @param {import("./clock.js").RobotClock} clock
 */
export function cameraPanel(feed, clock) {
  const canvas = byId("picture");
  const pause = byId("pause");
  const state = { scene: null, motion: null, heardMs: -Infinity, trace: [], isOpen: false, isPaused: false };
  const isSeeing = () => state.motion !== null && performance.now() - state.heardMs < NO_CAMERA_AFTER_MS;

  const paintOverlay = painter(byId("overlay"), () => {
    const moving = isSeeing() && state.motion.active ? scaled(state.motion.roi, state.motion, picture) : null;
    return picture.stamp ? overlay(picture, state.scene, moving) : html`<p class="empty">No picture yet</p>`;
  });
  const paintScene = painter(byId("scene"), () => sceneTemplate(state.scene, clock));
  const paintMotion = painter(byId("motion"), () => motionTemplate(state, isSeeing(), picture, clock));
  const picture = new Picture(canvas, () => (paintOverlay(), paintMotion()));

  const follow = () => (state.isOpen && !state.isPaused ? picture.start() : picture.stop());
  feed.on("connection", ({ state: now }) => ((state.isOpen = now === "open"), follow()));
  feed.on("scene", (scene) => {
    state.scene = scene;
    if (scene) clock.hear(scene.stamp);
    canvas.setAttribute("aria-label", scene ? `Camera picture: ${scene.summary || scene.compact}` : "Camera picture");
    paintScene();
    paintOverlay();
  });
  feed.on("motion", (motion) => {
    const now = performance.now();
    state.motion = motion ?? null;
    if (motion) {
      clock.hear(motion.stamp);
      state.heardMs = now;
      state.trace.push({ atMs: now, value: motion.changed_fraction, marked: motion.active });
    }
    state.trace = state.trace.filter(({ atMs }) => now - atMs < TRACE_MS);
    paintOverlay();
  });
  feed.on("keyframe", (keyframe) => keyframe && picture.expect(keyframe.stamp));
  pause.addEventListener("click", () => {
    state.isPaused = !state.isPaused;
    pause.setAttribute("aria-pressed", String(state.isPaused));
    follow();
  });
  everySecond(() => [paintScene, paintMotion, paintOverlay].forEach((paint) => paint()));
  [paintScene, paintMotion, paintOverlay].forEach((paint) => paint());
}

function sceneTemplate(scene, clock) {
  if (!scene) return html`<p class="line">Nothing seen yet</p>`;
  const age = clock.age(scene.stamp);
  return html`<p class="line" dir="auto">${scene.summary || scene.compact}</p>
    <p class="note">
      <span id="scene-age">${Number.isNaN(age) ? "" : `${duration(age)} ago`}</span>, by the
      <span id="scene-source">${SOURCES[scene.source] ?? scene.source}</span>${scene.vlm_latency_s > 0
        ? html`, which took ${duration(scene.vlm_latency_s)}`
        : nothing}. The language model is told: “<span id="scene-compact">${scene.compact}</span>”
    </p>
    <ul class="seen">
      ${scene.persons.map((each) => html`<li class="person">Person: ${personWords(each)}</li>`)}
      ${scene.objects.map((each) => html`<li class="object">${objectWords(each)}</li>`)}
    </ul>`;
}

function motionTemplate(state, isSeeing, picture, clock) {
  const { motion } = state;
  const said = !isSeeing ? "No camera" : motion.camera_moving ? "The camera moves" : motion.active ? "Moving" : "Still";
  const skipped = motion?.frames_seen ? 1 - motion.frames_forwarded / motion.frames_seen : NaN;
  const age = picture.stamp ? clock.age(picture.stamp) : NaN;
  const told = [
    isSeeing ? `, ${percent(motion.changed_fraction)} of the picture changed` : "",
    Number.isNaN(skipped) ? "" : `; ${percent(skipped)} of ${motion.frames_seen} frames skipped`,
    Number.isNaN(age) ? "" : `; picture ${duration(age)} old`,
  ];
  return html`<p class="note"><strong id="gate">${said}</strong>${told}</p>
    ${trace(state.trace, TRACE_MS, performance.now(), "Share of the picture that changed")}`;
}

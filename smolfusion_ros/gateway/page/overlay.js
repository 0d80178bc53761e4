/** What is drawn over the picture: persons and objects of the scene, and where something moves. Pure. */

import { html, nothing, svg } from "./dom.js";

// Boxes of an older picture than this are dashed, as people have moved since.
const OLD_AFTER_S = 3;

/**
 * @param {{width: number, height: number, stamp: number}} picture as it is shown
 * @param {object | null} scene as the gateway tells it; its boxes are in pixels of the picture
 * @param {{x: number, y: number, width: number, height: number} | null} moving in pixels of the picture
 */
export function overlay(picture, scene, moving) {
  const size = Math.max(picture.width, picture.height) / 36;
  const isOld = scene !== null && picture.stamp - scene.stamp > OLD_AFTER_S;
  const seen = [
    ...(scene?.persons ?? []).map((each) => ({ kind: "person", roi: each.roi, label: personLabel(each) })),
    ...(scene?.objects ?? []).map((each) => ({ kind: "object", roi: each.roi, label: objectLabel(each) })),
  ];
  return html`<svg viewBox="0 0 ${picture.width} ${picture.height}" aria-hidden="true">
    ${moving ? box({ kind: "moving", roi: moving, label: "moving" }, size, picture.width, false) : nothing}
    ${seen.filter(({ roi }) => roi !== null).map((each) => box(each, size, picture.width, isOld))}
  </svg>`;
}

/** "left, smiling, waving, red shirt"; what is not known is left out. */
export function personWords(person) {
  const told = [person.position, person.expression, person.gesture, person.clothing];
  return told.filter((word) => word && word !== "unknown" && word !== "none").join(", ") || "somewhere";
}

/** "red cup, right". */
export function objectWords(object) {
  const position = object.position === "unknown" ? "" : `, ${object.position}`;
  return `${object.colour} ${object.label}${position}`.trim();
}

/** A region of the camera's frame in pixels of the picture, which may be smaller. */
export function scaled(roi, frame, picture) {
  if (!roi) return null;
  const [across, down] = frame ? [picture.width / frame.width, picture.height / frame.height] : [1, 1];
  return { x: roi.x * across, y: roi.y * down, width: roi.width * across, height: roi.height * down };
}

function personLabel(person) {
  return person.track_id === null ? personWords(person) : `${person.track_id}: ${personWords(person)}`;
}

function objectLabel(object) {
  return `${object.colour} ${object.label}`.trim();
}

function box({ kind, roi, label }, size, width, isOld) {
  // A label that would leave the picture begins further left; inside the box where there is no room above.
  const x = Math.max(0, Math.min(roi.x, width - 0.52 * size * label.length));
  const y = roi.y > 1.3 * size ? roi.y - 0.4 * size : roi.y + size;
  return svg`${rectangle(roi, isOld ? `${kind} old` : kind)}<text class=${kind} x=${x} y=${y} font-size=${size}>${label}</text>`;
}

function rectangle({ x, y, width, height }, kind) {
  return svg`<rect class=${kind} x=${x} y=${y} width=${width} height=${height} rx="3"></rect>`;
}

/** Puts the page together. */

import { cameraPanel } from "./camera.js";
import { chatPanel } from "./chat.js";
import { RobotClock } from "./clock.js";
import { commandsPanel } from "./commands.js";
import { connectionBanner } from "./connection.js";
import { byId, html, nothing, painter } from "./dom.js";
import { Feed } from "./events.js";
import { healthPanel } from "./health.js";
import { performancePanels } from "./performance.js";
import { emergencyStop } from "./stop.js";
import { themeSwitch } from "./theme.js";

const feed = new Feed();
const clock = new RobotClock();
const banners = { stop: nothing, connection: nothing };
const paint = painter(byId("banners"), () => html`${banners.stop}${banners.connection}`);
const show = (name) => (banner) => {
  banners[name] = banner;
  paint();
};

for (const name of ["performance", "command", "status", "turn", "utterance", "keyframe"]) {
  feed.on(name, (value) => value && clock.hear(value.stamp));
}
themeSwitch(byId("theme"));
// First, so that it works whatever happens to the others.
emergencyStop(feed, show("stop"));
connectionBanner(feed, show("connection"));
cameraPanel(feed, clock);
chatPanel(feed, clock);
commandsPanel(feed, clock);
healthPanel(feed);
performancePanels(feed);
feed.start();

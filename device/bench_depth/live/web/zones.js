// ---- Zones: drawn here, measured by the server, which tells them with every frame.
// `posted`: edition of the zones that this page sent last; earlier ones in frames are out of date.
let zones = [], below = null, posted = 0, anchor = null, listed = "";
const NO_MODE = "Zones measure a part of the picture, here and for other programs.";
const DRAW_MODE = "Drag over a picture. With the keyboard: arrow keys, Enter at two corners.";

const round = (value) => Math.round(value * 1e4) / 1e4;
const drawing = () => document.body.classList.contains("drawing");
const element = (kind, set) => Object.assign(document.createElement(kind), set);

async function watch(next, alarm) {
  [zones, below, posted] = [next, alarm, Infinity];
  showZones();
  const rectangles = zones.map(({ name, x, y, width, height }) => ({ name, x, y, width, height }));
  try {
    const answer = await send("zones", { zones: rectangles, alarm: below });
    posted = answer.edition;
    complain("");
  } catch (error) {
    posted = 0;
    complain(error.message);
  }
  if (held) await load({ frame: held });
}

function takeZones() {
  if (frame.edition >= posted) [zones, below] = [frame.zones, frame.alarm_below];
  showZones();
}

function showZones() {
  const key = JSON.stringify(zones.map((zone) => zone.name));
  if (key !== listed) list(key);
  const depth = (value) => value === undefined ? "" : value === null ? "unknown"
    : info.relative ? value.toPrecision(3) : `${value.toFixed(2)} m`;
  [...$("zones").tBodies[0].rows].forEach((row, i) => {
    row.cells[1].textContent = depth(zones[i].nearest);
    row.cells[2].textContent = depth(zones[i].median);
    row.classList.toggle("alarm", Boolean(zones[i].alarm));
  });
  for (const layer of document.querySelectorAll(".zones")) {
    [...layer.querySelectorAll(".zone:not(.new)")].forEach((box, i) => {
      setBox(box, zones[i]);
      box.classList.toggle("alarm", Boolean(zones[i].alarm));
      box.firstChild.textContent = `${depth(zones[i].nearest)} ${zones[i].name}`.trim();
    });
  }
  if (document.activeElement !== $("below")) $("below").value = below ?? "";
  showAlarm(depth);
}

function list(key) {
  listed = key;
  $("zones").hidden = !zones.length;
  $("zones").tBodies[0].replaceChildren(...zones.map((zone, i) => {
    const row = element("tr");
    const name = element("input", { type: "text", value: zone.name, maxLength: 40,
      title: zone.name, ariaLabel: "Name" });
    const remove = element("button", { type: "button", textContent: "×", ariaLabel: `Remove ${zone.name}` });
    const others = () => zones.filter((_, other) => other !== i);
    name.addEventListener("change", () => {
      const taken = others().some((other) => other.name === name.value.trim());
      if (!name.value.trim() || taken) name.value = zone.name;
      else watch(zones.map((z, n) => n === i ? { ...z, name: name.value.trim() } : z), below);
    });
    remove.addEventListener("click", () => watch(others(), below));
    for (const child of [name, "", "", remove]) {
      row.append(element("td"));
      row.lastChild.append(child);
    }
    return row;
  }));
  for (const layer of document.querySelectorAll(".zones")) {
    layer.replaceChildren(...zones.map(() => {
      const box = element("span", { className: "zone" });
      box.append(element("b"));
      return box;
    }));
  }
}

function showAlarm(depth) {
  const loud = zones.filter((zone) => zone.alarm);
  const alarm = Boolean(frame?.alarm) && (loud.length > 0 || !zones.length);
  const where = loud.map((zone) => `${zone.name} ${depth(zone.nearest)}`).join(", ") || "the picture";
  const text = alarm ? `Nearer than ${below} m: ${where}` : "";
  if ($("alarm").textContent !== text) $("alarm").textContent = text;
  document.title = alarm ? `Alarm: ${where}` : `${info?.model ?? "Depth"}: live depth`;
  document.body.classList.toggle("alarm", alarm);
  for (const pane of panes) pane.classList.toggle("whole", !zones.length);
}

function complain(text) {
  $("hint").textContent = text || (drawing() ? DRAW_MODE : NO_MODE);
}

// ---- Drawing: from a corner, `anchor`, to the opposite one.
function rectangle(from, to) {
  const [left, right] = [from.x, to.x].sort((a, b) => a - b).map(round);
  const [top, bottom] = [from.y, to.y].sort((a, b) => a - b).map(round);
  return { x: left, y: top, width: round(right - left), height: round(bottom - top) };
}

function setBox(box, { x, y, width, height }) {
  const percent = { left: x, top: y, width, height };
  for (const [side, value] of Object.entries(percent)) box.style[side] = `${100 * value}%`;
}

function sketch() {
  for (const layer of document.querySelectorAll(".zones")) {
    layer.querySelector(".new")?.remove();
    if (!anchor) continue;
    const box = element("span", { className: "zone new" });
    setBox(box, rectangle(anchor, mark));
    layer.append(box);
  }
}

function setDrawing(on) {
  anchor = null;
  document.body.classList.toggle("drawing", on);
  $("draw").ariaPressed = String(on);
  // On a small screen the pictures are above.
  if (on) document.querySelector(".panes").scrollIntoView({ block: "nearest" });
  complain("");
  sketch();
}

function corner() {
  if (!anchor) {
    anchor = { ...mark };
    return;
  }
  const drawn = rectangle(anchor, mark);
  anchor = null;
  sketch();
  if (drawn.width < 0.01 || drawn.height < 0.01) return;
  let number = 1;
  while (zones.some((zone) => zone.name === `zone ${number}`)) number++;
  setDrawing(false);
  watch([...zones, { name: `zone ${number}`, ...drawn }], below);
}

for (const pane of panes) {
  pane.addEventListener("pointerdown", (event) => {
    if (!drawing()) return;
    pane.setPointerCapture(event.pointerId);
    anchor = null;
    corner();
  });
  pane.addEventListener("pointermove", () => anchor && sketch());
  pane.addEventListener("pointerup", () => anchor && corner());
  pane.addEventListener("pointercancel", () => setDrawing(drawing()));
  pane.addEventListener("keydown", (event) => {
    if (drawing() && event.key === "Enter") corner();
    if (anchor) sketch();
  });
}
document.addEventListener("keydown", (event) => event.key === "Escape" && setDrawing(false));
$("draw").addEventListener("click", () => setDrawing(!drawing()));
$("below").addEventListener("change", () => {
  const metres = $("below").valueAsNumber;
  watch(zones, metres > 0 ? metres : null);
});
complain("");

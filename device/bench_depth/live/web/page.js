"use strict";
const STALLED_MS = 2000, FOLLOW_MS = 500;
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const panes = [...document.querySelectorAll(".pane")];
const mark = { x: 0.5, y: 0.5 };
let info = null, run = null, tag = "", frame = null, ends = null;
let lastFrame = 0, trouble = "connecting", shown = [];
// While paused: tag of the frame that the server holds, and what goes on.
let held = null, resume = null;

function address(path, query) {
  const all = new URLSearchParams(query);
  if (token) all.set("token", token);
  return `${path}?${all}`;
}
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const visible = () => new Promise((done) =>
  document.addEventListener("visibilitychange", done, { once: true }));
const ask = (path, query) =>
  fetch(address(path, query), { signal: AbortSignal.timeout(20000), cache: "no-store" });
async function send(path, value) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(address(path, {}),
    { method: "POST", headers, body: JSON.stringify(value), signal: AbortSignal.timeout(20000) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
const number = (value, digits, unit) =>
  value === null || value === undefined ? "–" : `${value.toFixed(digits)} ${unit}`;

// ---- Frames: each request waits for one other than `tag`, so a slow viewer only gets fewer.
async function follow() {
  for (;;) {
    // A page that nobody sees asks for nothing.
    while (document.hidden) await visible();
    if (held) await new Promise((done) => { resume = done; });
    try {
      if (!await load({ after: tag })) await pause(2000);
    } catch (error) {
      trouble = "no connection, trying again";
      await pause(1000);
    }
    state();
  }
}

// Whether the server answered; a frame that comes while the page is paused is not shown.
async function load(query) {
  const answer = await ask("frame", query);
  if (!answer.ok) {
    trouble = await answer.text();
    return false;
  }
  const next = answer.headers.get("X-Frame");
  const bytes = await answer.arrayBuffer();
  if (!next) return true;
  if (next.split("-")[0] !== run) await describe();
  const unpacked = await unpack(bytes);
  if (held && next !== held) return true;
  [frame, tag] = [unpacked, next];
  trouble = "";
  const before = lastFrame;
  lastFrame = performance.now();
  shown = [...shown.filter((at) => at > lastFrame - 3000), lastFrame];
  show(lastFrame - before);
  return true;
}

// The server keeps the frame: it can still be saved, and measured in other zones.
async function togglePause() {
  if (held) {
    held = null;
    resume?.();
  } else {
    try {
      held = (await send("hold", {})).frame;
      await load({ frame: held });
    } catch (error) {
      held = null;
      trouble = error.message;
    }
  }
  document.body.classList.toggle("paused", Boolean(held));
  $("pause").ariaPressed = String(Boolean(held));
  $("pause").textContent = held ? "Resume" : "Pause";
  links();
  state();
}

async function unpack(bytes) {
  const length = new DataView(bytes).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const photo = new Blob([new Uint8Array(bytes, 4 + length, head.photo)], { type: "image/jpeg" });
  const packed = new Blob([new Uint8Array(bytes, 4 + length + head.photo)]);
  const flat = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  const [bitmap, planes] = await Promise.all(
    [createImageBitmap(photo), new Response(flat).arrayBuffer()]);
  return { ...head, bitmap, codes: undo(new Uint8Array(planes), ...head.depth) };
}

// Each code is stored less its left neighbour; high bytes first, then low bytes.
function undo(planes, width, height) {
  const codes = new Uint16Array(width * height);
  for (let i = 0; i < codes.length; i++) {
    const step = (planes[i] << 8) | planes[codes.length + i];
    codes[i] = i % width ? codes[i - 1] + step : step;
  }
  return codes;
}

// ---- What does not change while one bench-depth runs.
async function describe() {
  const answer = await ask("info", {});
  if (!answer.ok) throw new Error(await answer.text());
  info = await answer.json();
  run = info.run;
  [ends, posted] = [null, 0];
  const table = Uint8Array.from(atob(info.colours.table), (c) => c.charCodeAt(0));
  info.palette = new Uint32Array(256);
  const bytes = new Uint8Array(info.palette.buffer);
  for (let i = 0; i < 256; i++) bytes.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  const gradient = new ImageData(new Uint8ClampedArray(info.palette.buffer), 256, 1);
  $("gradient").getContext("2d").putImageData(gradient, 0, 0);
  $("title").textContent = `${info.model}: live depth`;
  document.body.classList.toggle("relative", info.relative);
  const taken = info.xnnpack_ops ? `runs ${info.xnnpack_ops.join(" of ")} ops` : "delegate on";
  const xnnpack = { true: `XNNPACK ${taken}`, false: "XNNPACK off" }[info.xnnpack];
  const threads = `${info.threads} thread${info.threads > 1 ? "s" : ""}`;
  const board = info.emulated ? `${info.board}, emulated: times mean nothing` : info.board;
  $("context").textContent = [info.file, info.runtime, xnnpack, threads, `from ${info.source}`, board]
    .filter(Boolean).join(" · ");
  $("map").textContent = ` (${info.colours.name})`;
  $("what").textContent = info.relative
    ? `At the mark, relative (${info.inverse ? "large" : "small"} is near)` : "Distance at the mark";
  $("fixed").hidden = !info.range;
  if (info.range) $("fixed").lastChild.textContent = `the range of the model, ${info.range.join("–")} m`;
  else if (choice() === "fixed") document.querySelector("input[value=auto]").checked = true;
}

// ---- Pictures.
function show(elapsed) {
  const [width, height] = frame.size;
  for (const pane of panes) pane.style.aspectRatio = `${width} / ${height}`;
  const photo = $("photo");
  [photo.width, photo.height] = [frame.bitmap.width, frame.bitmap.height];
  photo.getContext("2d").drawImage(frame.bitmap, 0, 0);
  frame.bitmap.close();
  figures();
  links();
  paint(elapsed);
  takeZones();
}

function nearlyAll(before, keep) {
  const known = frame.codes.filter((code) => code).sort();
  if (!known.length) return before || [1, 2];
  let found = [known[Math.floor(known.length * 0.02)], known[Math.floor(known.length * 0.98)]];
  if (info.inverse) found.reverse();
  // Followed slowly: the colours would flicker. Relative codes are spread anew in every frame.
  if (before && !info.relative) {
    found = found.map((code, i) => keep * before[i] + (1 - keep) * code);
  }
  return Math.abs(found[1] - found[0]) < 1 ? [found[0], found[0] + 1] : found;
}

const choice = () => document.querySelector("input[name=range]:checked").value;

// The two codes of the range that was typed; the present one where that is none.
function own(before) {
  const typed = [$("from"), $("to")].map((input) => input.valueAsNumber);
  if (typed.some(Number.isNaN) || typed[0] === typed[1]) return before || nearlyAll(before, 0);
  return typed.map((value) => (value - frame.base) / frame.step);
}

const place = (code) => Math.min(1, Math.max(0, (code - ends[0]) / (ends[1] - ends[0])));

function paint(elapsed) {
  ends = {
    auto: () => nearlyAll(ends, Math.exp(-elapsed / FOLLOW_MS)),
    fixed: () => info.range.map((metres) => metres / frame.step),
    own: () => own(ends),
  }[choice()]();
  const [width, height] = frame.depth;
  const pixels = new Uint32Array(width * height);
  frame.codes.forEach((code, i) => {
    // Without depth it stays transparent, and the hatching behind it shows.
    if (code) pixels[i] = info.palette[Math.round(255 * place(code))];
  });
  const picture = new ImageData(new Uint8ClampedArray(pixels.buffer), width, height);
  for (const canvas of [$("depth"), $("overlay")]) {
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
  $("near").textContent = `near: ${length(ends[0], 1)}`;
  $("far").textContent = `far: ${length(ends[1], 1)}`;
  pointAt();
}

function length(code, digits) {
  const value = frame.base + frame.step * code;
  return info.relative ? value.toPrecision(3) : `${value.toFixed(digits)} m`;
}

// ---- Figures.
function figures() {
  $("fps").textContent = number(frame.possible, rateDigits(frame.possible), "fps");
  $("latency").textContent = number(frame.latency, 0, "ms");
  const here = shown.length > 1 ? (1000 * (shown.length - 1)) / (shown.at(-1) - shown[0]) : null;
  const source = info.camera ? "camera" : "source";
  const rate = (value) => number(value, rateDigits(value), "").trim();
  $("rate").textContent = `Could do ${rate(frame.possible)} fps; the ${source} gives `
    + `${rate(frame.given)}. The model runs on ${rate(frame.fps)}, this page shows ${rate(here)}. `
    + `${frame.frames} frames run, ${frame.dropped} dropped to keep up.`;
  const sum = Object.values(frame.stages).reduce((a, b) => a + b, 0);
  $("stages").replaceChildren(...Object.entries(frame.stages).flatMap(([stage, ms]) => {
    const [name, bar, value] = ["dt", "i", "dd"].map((kind) => document.createElement(kind));
    name.textContent = stage;
    bar.style.width = `${(100 * ms) / sum}%`;
    value.textContent = number(ms, 1, "ms");
    return [name, bar, value];
  }));
  const { temperature, clock, troubles } = frame.health;
  $("health").textContent = [
    temperature !== null && number(temperature, 0, "°C"),
    clock !== null && number(clock, 0, "MHz"),
    troubles && (troubles.length ? troubles.join(", ") : "not throttled"),
  ].filter(Boolean).join(" · ") || "Temperature unknown.";
}

const rateDigits = (value) => value < 10 ? 1 : 0;

function links() {
  for (const link of document.querySelectorAll(".save a")) {
    link.href = address(link.dataset.path, held ? { frame: held } : {});
    link.download = `${frame?.name ?? "frame"}-${link.dataset.path}`;
  }
}

function pointAt() {
  for (const each of document.querySelectorAll(".mark")) {
    each.style.left = `${100 * mark.x}%`;
    each.style.top = `${100 * mark.y}%`;
    each.classList.toggle("left", mark.x > 0.7);
  }
  if (!frame) return;
  const [width, height] = frame.depth;
  const column = Math.min(width - 1, Math.floor(mark.x * width));
  const row = Math.min(height - 1, Math.floor(mark.y * height));
  const code = frame.codes[row * width + column];
  const text = code ? length(code, 2) : "unknown";
  for (const each of [$("distance"), ...document.querySelectorAll(".mark b")]) each.textContent = text;
  $("tick").hidden = !code;
  $("tick").style.left = `${100 * place(code)}%`;
}

function state() {
  const silent = performance.now() - lastFrame;
  const stalled = !trouble && !held && silent > STALLED_MS;
  document.body.classList.toggle("live", !trouble && !stalled);
  const text = trouble || (held && held === tag && "paused") || (stalled ? `stalled for ${Math.round(silent / 1000)} s` : "live");
  if ($("state").textContent !== text) $("state").textContent = text;
}

// ---- The mark: mouse, finger or arrow keys.
function moveTo(x, y) {
  [mark.x, mark.y] = [x, y].map((v) => Math.min(1, Math.max(0, v)));
  pointAt();
}
for (const pane of panes) {
  const move = (event) => {
    const box = pane.getBoundingClientRect();
    moveTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  pane.addEventListener("pointermove", move);
  pane.addEventListener("pointerdown", move);
  pane.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    moveTo(mark.x + step[0] / 50, mark.y + step[1] / 50);
  });
}
$("range").addEventListener("change", (event) => {
  if (!frame) return;
  if (event.target.type === "number") document.querySelector("input[value=own]").checked = true;
  else if (choice() === "own") {
    [$("from"), $("to")].forEach((input, i) => {
      if (!input.value) input.value = Number((frame.base + frame.step * ends[i]).toPrecision(2));
    });
  }
  paint(Infinity);
});
$("opacity").addEventListener("input", () => {
  $("overlay").style.opacity = $("opacity").value / 100;
});
$("pause").addEventListener("click", togglePause);
setInterval(state, 250);
pointAt();
links();
// What follows in the script is there before the first frame is.
setTimeout(follow);

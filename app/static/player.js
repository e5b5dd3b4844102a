// Draws both lanes at one step. All frames arrive at once, so scrubbing asks nobody. Text goes in by textContent only.
const make = (tag, cls, parent) => {
  const node = document.createElementNS(/^(svg|line|polyline)$/.test(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  if (cls) node.setAttribute("class", cls);
  if (parent) parent.appendChild(node);
  return node;
};
const percent = (p) => `${p < 1 ? Math.min(99, Math.round(100 * p)) : 100} %`;

function figure(parent, cls, caption) {
  const box = make("figure", cls, parent), img = make("img", "", box);
  make("figcaption", "", box).textContent = caption;
  return { box, img, caption: box.lastChild };
}

function buildLane(lane, data, parent) {
  const box = make("section", "lane", parent), head = make("div", "head", box);
  box.setAttribute("aria-label", lane.name);
  make("b", "", head).textContent = lane.name;
  make("span", "", head).textContent = lane.title;
  const shots = make("div", "shots", box);
  const clean = figure(shots, "clean", `clean: ${data.classes[lane.cleanGuess]}`);
  clean.img.src = data.clean; clean.img.alt = "clean image";
  make("i", "", shots).textContent = "+";
  const noise = figure(shots, "noise", `noise × ${data.factor}`);
  noise.img.alt = `noise, magnified ${data.factor} times`;
  make("i", "", shots).textContent = "=";
  const adversarial = figure(shots, "adversarial", "");
  const bars = make("div", "bars", box), rows = lane.rows.map((index) => {
    const name = make("span", "name", bars), track = make("span", "track", bars), value = make("span", "value", bars);
    name.textContent = data.classes[index];
    const fill = make("span", index === lane.label ? "fill own" : "fill", track), tick = make("span", "tick", track);
    tick.style.left = `calc(${100 * lane.cleanProbabilities[index]}% - 1px)`;
    tick.title = `clean: ${percent(lane.cleanProbabilities[index])}`;
    return { index, name, fill, value };
  });
  const svg = make("svg", "", box);
  svg.setAttribute("viewBox", "0 0 100 40"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true");
  const at = (step) => (data.steps ? (100 * step) / data.steps : 0);
  const rule = (cls, x1, y1, x2, y2) => { const l = make("line", cls, svg); [["x1", x1], ["y1", y1], ["x2", x2], ["y2", y2]].forEach(([k, v]) => l.setAttribute(k, v)); return l; };
  rule("axis", 0, 40, 100, 40); rule("axis", 0, 0, 100, 0);
  make("polyline", "line", svg).setAttribute("points", lane.probabilities.map((p, step) => `${at(step)},${40 - 40 * p[lane.label]}`).join(" "));
  if (lane.fooledAt !== null) rule("flip", at(lane.fooledAt), 0, at(lane.fooledAt), 40);
  const cursor = rule("cursor", 0, 0, 0, 40);
  make("div", "legend", box).textContent = `probability of “${data.classes[lane.label]}” over the steps`;
  return (wanted) => {
    const step = Math.min(wanted, lane.frames.length - 1), p = lane.probabilities[step];
    const guess = p.indexOf(Math.max(...p)), fooled = guess !== lane.label;
    adversarial.img.src = lane.frames[step]; adversarial.img.alt = `image after ${step} steps`;
    adversarial.caption.textContent = `step ${step}: ${data.classes[guess]}`;
    adversarial.box.className = `adversarial ${fooled ? "fooled" : "holds"}`;
    noise.img.src = lane.noise[step];
    rows.forEach(({ index, name, fill, value }) => {
      fill.style.width = `${100 * p[index]}%`; value.textContent = percent(p[index]);
      name.className = index === guess ? "name top" : "name";
    });
    cursor.setAttribute("x1", at(step)); cursor.setAttribute("x2", at(step));
  };
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player"), memory = (root.memory ??= { id: null, step: 0 });
  clearInterval(memory.timer);
  root.classList.toggle("dark", data.dark);
  root.replaceChildren();
  const scrub = make("div", "scrub", root), play = make("button", "", scrub), slider = make("input", "", scrub), shown = make("output", "", scrub);
  const lanes = make("div", "lanes", root), draw = data.lanes.map((lane) => buildLane(lane, data, lanes));
  const last = Math.max(...data.lanes.map((lane) => lane.frames.length - 1));
  Object.entries({ type: "range", min: 0, max: data.steps, step: 1, role: "slider", "aria-label": "Attack step" }).forEach(([k, v]) => slider.setAttribute(k, v));
  const show = (step) => {
    memory.step = step; slider.value = step; shown.textContent = `step ${step} of ${data.steps}`;
    slider.setAttribute("aria-valuenow", step);
    draw.forEach((lane) => lane(step));
  };
  const pause = () => { clearInterval(memory.timer); memory.timer = null; play.textContent = "▶ Play"; };
  const start = () => {
    let step = memory.step >= last ? 0 : memory.step;
    show(step);
    play.textContent = "❚❚ Pause";
    memory.timer = setInterval(() => { if (step >= last) return pause(); show(++step); }, Math.max(30, Math.min(120, 2400 / Math.max(1, last))));
  };
  play.type = "button";
  play.disabled = slider.disabled = data.running; // only the newest frame is here until the attack ends
  play.onclick = () => (memory.timer ? pause() : start());
  slider.oninput = () => { pause(); show(Number(slider.value)); };
  pause();
  const fresh = memory.id !== data.id, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  memory.id = data.id;
  if (data.running) { memory.streamed = data.id; show(last); }
  else if (fresh && data.play && !calm) { memory.step = last; start(); }
  else show(fresh || memory.streamed === data.id ? last : Math.min(memory.step, last));
  if (!data.running) memory.streamed = null;
  return () => clearInterval(memory.timer);
}

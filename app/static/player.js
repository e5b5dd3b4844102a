// Draws both lanes at one step. All frames arrive at once, so scrubbing asks nobody. Text goes in by textContent only.
const make = (tag, cls, parent) => {
  const node = document.createElementNS(/^(svg|line|polyline)$/.test(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  if (cls) node.setAttribute("class", cls);
  if (parent) parent.appendChild(node);
  return node;
};
const percent = (p) => (p > 0.99 && Math.round(100 * p) > 99 ? "> 99 %" : Math.round(100 * p) < 1 ? "< 1 %" : `${Math.round(100 * p)} %`);

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
  return (wanted) => {
    const place = lane.steps.findLastIndex((step) => step <= wanted), step = lane.steps[place], p = lane.probabilities[place];
    const guess = p.indexOf(Math.max(...p)), fooled = guess !== lane.label;
    adversarial.img.src = lane.frames[place]; adversarial.img.alt = `image after ${step} steps`;
    adversarial.caption.textContent = `step ${step}: ${data.classes[guess]}`;
    adversarial.box.className = `adversarial ${fooled ? "fooled" : "holds"}`;
    noise.img.src = lane.noise[place];
    rows.forEach(({ index, name, fill, value }) => {
      fill.style.width = `${100 * p[index]}%`; value.textContent = percent(p[index]);
      name.className = index === guess ? "name top" : "name";
    });
  };
}

// Both models on one scale: the measure that was chosen, over the steps, with a mark at the step that is shown.
function buildChart(data, parent, memory) {
  const box = make("section", "chart", parent), head = make("div", "choice", box);
  box.setAttribute("aria-label", "The attack's progress");
  const plot = make("div", "plot", box), top = make("small", "", plot), svg = make("svg", "", plot), bottom = make("small", "", plot);
  svg.setAttribute("viewBox", "0 0 100 40"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true");
  const at = (step) => (data.steps ? (100 * step) / data.steps : 0);
  const rule = (cls, x1, y1, x2, y2) => { const l = make("line", cls, svg); [["x1", x1], ["y1", y1], ["x2", x2], ["y2", y2]].forEach(([k, v]) => l.setAttribute(k, v)); return l; };
  const legend = make("div", "legend", box);
  let cursor, now = 0;
  const draw = () => {
    const curves = data.lanes.map((lane) => lane.curves[memory.measure]), all = curves.flat();
    const chance = memory.measure === "confidence", low = chance ? 0 : Math.min(0, ...all), high = chance ? 1 : Math.max(...all, low + 1e-6);
    const y = (value) => 40 - (40 * (value - low)) / (high - low);
    svg.replaceChildren();
    rule("axis", 0, 40, 100, 40); rule("axis", 0, 0, 100, 0);
    if (low < 0) rule("axis", 0, y(0), 100, y(0));
    curves.forEach((curve, place) => {
      const lane = data.lanes[place], length = lane.length - 1;
      make("polyline", `line lane${place}`, svg).setAttribute("points", curve.map((value, i) => `${at(curve.length > 1 ? (length * i) / (curve.length - 1) : 0)},${y(value)}`).join(" "));
      if (lane.fooledAt !== null) rule(`flip lane${place}`, at(lane.fooledAt), 0, at(lane.fooledAt), 40);
    });
    cursor = rule("cursor", at(now), 0, at(now), 40);
    top.textContent = chance ? "100 %" : high.toFixed(1); bottom.textContent = chance ? "0 %" : low.toFixed(1);
    legend.replaceChildren();
    data.lanes.forEach((lane, place) => { const key = make("span", `key lane${place}`, legend); make("i", "", key); key.append(lane.name); });
    legend.append(`${data.measures[memory.measure]} over the steps; upright lines: fooled`);
  };
  Object.keys(data.measures).forEach((measure) => {
    const label = make("label", "", head), input = make("input", "", label);
    Object.entries({ type: "radio", name: "measure", value: measure }).forEach(([k, v]) => input.setAttribute(k, v));
    input.checked = measure === memory.measure;
    input.onchange = () => { memory.measure = measure; draw(); };
    label.append(measure);
  });
  draw();
  return (step) => { now = step; cursor.setAttribute("x1", at(step)); cursor.setAttribute("x2", at(step)); };
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player"), memory = (root.memory ??= { id: null, place: 0, measure: Object.keys(data.measures)[0] });
  clearInterval(memory.timer);
  root.classList.toggle("dark", data.dark);
  root.replaceChildren();
  const scrub = make("div", "scrub", root), play = make("button", "", scrub), slider = make("input", "", scrub), said = make("output", "", scrub);
  const lanes = make("div", "lanes", root), draw = data.lanes.map((lane) => buildLane(lane, data, lanes));
  draw.push(buildChart(data, root, memory));
  const shown = [...new Set(data.lanes.flatMap((lane) => lane.steps))].sort((a, b) => a - b), last = shown.length - 1;
  Object.entries({ type: "range", min: 0, max: Math.max(1, last), step: 1, role: "slider", "aria-label": "Attack step" }).forEach(([k, v]) => slider.setAttribute(k, v));
  const show = (place) => {
    const step = shown[place];
    memory.place = place; slider.value = place; said.textContent = `step ${step} of ${data.steps}`;
    slider.setAttribute("aria-valuenow", place); slider.setAttribute("aria-valuetext", said.textContent);
    draw.forEach((part) => part(step));
    dispatchEvent(new CustomEvent("lsp-lab-step", { detail: { id: data.id, step } })); // the map follows
  };
  const pause = () => { clearInterval(memory.timer); memory.timer = null; play.textContent = "▶ Play"; };
  const start = () => {
    let place = memory.place >= last ? 0 : memory.place;
    show(place);
    play.textContent = "❚❚ Pause";
    memory.timer = setInterval(() => { if (place >= last) return pause(); show(++place); }, Math.max(30, Math.min(120, 2400 / Math.max(1, last))));
  };
  play.type = "button";
  play.disabled = slider.disabled = data.running; // only the newest frame is here until the attack ends
  play.onclick = () => (memory.timer ? pause() : start());
  slider.oninput = () => { pause(); show(Number(slider.value)); };
  pause();
  const fresh = memory.id !== data.id, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  memory.id = data.id;
  if (data.running) { memory.streamed = data.id; show(last); }
  else if (fresh && data.play && !calm) { memory.place = last; start(); }
  else show(fresh || memory.streamed === data.id ? last : Math.min(memory.place, last));
  if (!data.running) memory.streamed = null;
  return () => clearInterval(memory.timer);
}

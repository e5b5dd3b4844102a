// Two maps of the same images. What is pointed at in one is ringed in both; the player's step moves along the way.
const SIDE = 640, NEAR = 26, COLOURS = ["#4E79A7", "#F28E2B", "#E15759", "#76B7B2", "#59A14F", "#B9A018", "#B07AA1", "#FF7D9A", "#9C755F", "#8A8A8A"];
const SHAPES = [
  (p, x, y, r) => p.arc(x, y, r, 0, 7),
  (p, x, y, r) => p.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
  (p, x, y, r) => { p.moveTo(x, y - r * 1.2); p.lineTo(x + r * 1.1, y + r * 0.8); p.lineTo(x - r * 1.1, y + r * 0.8); p.closePath(); },
  (p, x, y, r) => { p.moveTo(x, y - r * 1.25); p.lineTo(x + r * 1.25, y); p.lineTo(x, y + r * 1.25); p.lineTo(x - r * 1.25, y); p.closePath(); },
];
const make = (tag, parent, words) => { const node = parent.appendChild(document.createElement(tag)); if (words !== undefined) node.textContent = words; return node; };
const at = ([x, y]) => [30 + x * (SIDE - 60), SIDE - 30 - y * (SIDE - 60)];

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".map"), ink = getComputedStyle(root).color;
  const memory = (root.memory ??= { brushed: null });
  root.replaceChildren();
  root.classList.toggle("dark", data.dark);
  const hover = make("div", root), picture = make("i", hover), words = make("span", hover);
  hover.className = "hover";
  let pointed = -1, step = Infinity;
  const lanes = data.lanes.map((lane, place) => {
    const section = make("section", root), canvas = (make("b", section, lane.name), make("canvas", section));
    make("small", section, lane.about);
    canvas.width = canvas.height = SIDE;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Map of ${lane.name}: ${data.rows.length} test images. Arrows go from image to image, Enter attacks.`);
    const hue = getComputedStyle(root).getPropertyValue(place ? "--b" : "--a");
    return { ...lane, canvas, pen: canvas.getContext("2d"), spots: lane.places.map(at), way: lane.path.map(at), hue, frame: null };
  });
  const draw = () => lanes.forEach(({ pen, spots, way, steps, hue, frame, fooledAt }) => {
    pen.clearRect(0, 0, SIDE, SIDE);
    const inside = memory.brushed && new Set(memory.brushed);
    spots.forEach(([x, y], i) => {
      const label = data.labels[i];
      pen.globalAlpha = !inside || inside.has(data.rows[i]) ? 0.75 : 0.12;
      pen.fillStyle = COLOURS[label % COLOURS.length];
      pen.beginPath(); SHAPES[label % SHAPES.length](pen, x, y, 5); pen.fill();
    });
    pen.globalAlpha = 1; pen.strokeStyle = ink; pen.lineWidth = 2;
    [pointed, data.own].filter((i) => i >= 0).forEach((i) => { pen.beginPath(); pen.arc(...spots[i], 11, 0, 7); pen.stroke(); });
    pen.strokeStyle = hue; pen.lineWidth = 4; pen.lineJoin = "round"; pen.beginPath();
    way.forEach((spot, i) => (i ? pen.lineTo(...spot) : pen.moveTo(...spot)));
    pen.stroke();
    const turn = fooledAt === null ? -1 : steps.findIndex((one) => one >= fooledAt);
    if (turn >= 0) { const [x, y] = way[turn + 1]; pen.lineWidth = 3; pen.beginPath(); pen.moveTo(x - 8, y - 8); pen.lineTo(x + 8, y + 8); pen.moveTo(x + 8, y - 8); pen.lineTo(x - 8, y + 8); pen.stroke(); }
    const now = way[1 + Math.max(-1, steps.findLastIndex((one) => one <= step))];
    pen.fillStyle = hue; pen.strokeStyle = ink; pen.lineWidth = 2; pen.beginPath(); pen.arc(...now, 9, 0, 7); pen.fill(); pen.stroke();
    if (frame) { pen.setLineDash([6, 4]); pen.strokeRect(frame.x0, frame.y0, frame.x1 - frame.x0, frame.y1 - frame.y0); pen.setLineDash([]); }
  });
  const point = (i, lane) => {
    pointed = i;
    hover.style.display = i < 0 ? "none" : "block";
    if (i >= 0) {
      const n = data.columns, col = i % n, row = Math.floor(i / n), box = lane.canvas.getBoundingClientRect(), home = root.getBoundingClientRect();
      picture.style.background = `url("${data.sprite}") ${-64 * col}px ${-64 * row}px / ${64 * n}px ${64 * n}px`;
      words.textContent = `${data.classes[data.labels[i]]}, image ${data.rows[i]}`;
      const [x, y] = lane.spots[i], left = box.left - home.left + (x * box.width) / SIDE;
      hover.style.left = `${Math.min(left + 14, home.width - 110)}px`; hover.style.top = `${box.top - home.top + (y * box.height) / SIDE + 14}px`;
      lane.canvas.setAttribute("aria-description", words.textContent);
    }
    draw();
  };
  const nearest = (lane, x, y) => {
    let best = -1, least = NEAR * NEAR;
    lane.spots.forEach(([a, b], i) => { const d = (a - x) ** 2 + (b - y) ** 2; if (d < least) { least = d; best = i; } });
    return best;
  };
  const beside = (lane, [dx, dy]) => { // the nearest in that direction, more ahead than aside
    if (pointed < 0) return Math.max(0, data.own);
    const [x, y] = lane.spots[pointed];
    let best = pointed, least = Infinity;
    lane.spots.forEach(([a, b], i) => {
      const ahead = (a - x) * dx + (b - y) * dy, aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
      if (i !== pointed && ahead > 0 && aside <= ahead && ahead + 2 * aside < least) { least = ahead + 2 * aside; best = i; }
    });
    return best;
  };
  lanes.forEach((lane) => {
    const { canvas } = lane, place = (event) => { const box = canvas.getBoundingClientRect(); return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height]; };
    canvas.onpointerdown = (event) => { const [x, y] = place(event); canvas.setPointerCapture(event.pointerId); lane.frame = { x0: x, y0: y, x1: x, y1: y }; };
    canvas.onpointermove = (event) => { const [x, y] = place(event); if (lane.frame) Object.assign(lane.frame, { x1: x, y1: y }); point(nearest(lane, x, y), lane); };
    canvas.onpointerleave = () => { if (!lane.frame) point(-1, lane); };
    canvas.onpointerup = (event) => {
      const { x0, y0, x1, y1 } = lane.frame ?? {}, [x, y] = place(event);
      lane.frame = null;
      if (Math.abs(x1 - x0) + Math.abs(y1 - y0) < 8) { // a click
        const i = nearest(lane, x, y);
        if (i >= 0) setTriggerValue("picked", data.rows[i]);
        else if (memory.brushed) { memory.brushed = null; setStateValue("brushed", null); }
      } else {
        const held = lane.spots.map(([a, b], i) => (a >= Math.min(x0, x1) && a <= Math.max(x0, x1) && b >= Math.min(y0, y1) && b <= Math.max(y0, y1) ? data.rows[i] : -1)).filter((row) => row >= 0);
        memory.brushed = held.length ? held : null;
        setStateValue("brushed", memory.brushed);
      }
      draw();
    };
    canvas.onkeydown = (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (way) point(beside(lane, way), lane);
      else if (event.key === "Enter" && pointed >= 0) setTriggerValue("picked", data.rows[pointed]);
      else return;
      event.preventDefault();
    };
  });
  const keys = make("div", root);
  keys.className = "keys";
  data.classes.slice(0, 20).forEach((name, label) => {
    const key = make("span", keys), canvas = make("canvas", key), pen = canvas.getContext("2d");
    Object.assign(canvas, { width: 24, height: 24 });
    canvas.style.cssText = "width:12px;height:12px;display:inline-block;border:0;border-radius:0;aspect-ratio:auto;margin:0 5px 0 0;vertical-align:-1px;cursor:auto";
    canvas.setAttribute("aria-hidden", "true");
    pen.fillStyle = COLOURS[label % COLOURS.length]; pen.beginPath(); SHAPES[label % SHAPES.length](pen, 12, 12, 9); pen.fill();
    key.append(name);
  });
  make("span", keys, "line: the attack's way, × fooled, dot: the step that is shown, ring: the image itself");
  const follow = (event) => { if (event.detail.id === data.id) { step = event.detail.step; draw(); } };
  addEventListener("lsp-lab-step", follow);
  draw();
  return () => removeEventListener("lsp-lab-step", follow);
}
